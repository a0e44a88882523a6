/** auth_file is read again when it has changed, without a RELOAD. */

import { expect, test } from 'vitest'
import { until } from '../support/flow/inbox.ts'
import { type Flow, startFlow } from '../support/flow/start.ts'

const ADA = '"ada" "secret"'
/** A test that waits for longer has failed. */
const GIVES_UP_MS = 15_000

async function start(): Promise<Flow> {
  const flow = await startFlow({ settings: { auth_type: 'plain' }, authFile: [ADA] })
  await look(flow, 3)
  return flow
}

/** The file is checked each second, and the system answers a little later. */
async function look(flow: Flow, times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    await flow.advance(1_000)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function untilLogged(flow: Flow, text: string): Promise<void> {
  // Thousands of checks take no time, since the clock is moved by hand, but the system's answers take real time.
  const givesUpAtMs = performance.now() + GIVES_UP_MS
  while (flow.logged(text).length === 0) {
    if (performance.now() > givesUpAtMs)
      throw new Error(`it should log ${text}, but there is only\n${flow.log.join('\n')}`)
    await look(flow, 1)
  }
}

function logIn(flow: Flow, user: string, password: string): Promise<string> {
  return flow.connect({ user, password }).then(
    () => 'is in',
    (error: Error) => error.message.replace(/^client \d+ could not log in: /, ''),
  )
}

const WRONG = 'ErrorResponse(FATAL 28P01 password authentication failed)'

test('when auth_file changes, users and passwords change without a RELOAD', async () => {
  const flow = await start()
  expect(await logIn(flow, 'ada', 'secret')).toBe('is in')
  expect(await logIn(flow, 'eve', 'hers')).toBe(WRONG)
  flow.rewriteAuthFile(['"ada" "other"', '"eve" "hers"'])
  await untilLogged(flow, 'auth_file: 1 users added, 1 changed, 0 removed')
  expect(await logIn(flow, 'eve', 'hers')).toBe('is in')
  expect(await logIn(flow, 'ada', 'secret')).toBe(WRONG)
  expect(await logIn(flow, 'ada', 'other')).toBe('is in')
})

test('a broken auth_file is logged once, and users stay as they were until it is corrected', async () => {
  const flow = await start()
  flow.rewriteAuthFile(['"eve" "hers"', '"ada" "hunter2'])
  await untilLogged(flow, 'has changed but is broken; the previous users stay in use')
  expect(flow.logged('userlist.txt:2:')).toHaveLength(1)
  expect(flow.log.join()).not.toContain('hunter2')
  await look(flow, 5)
  expect(flow.logged('has changed but is broken')).toHaveLength(1)
  expect(await logIn(flow, 'ada', 'secret')).toBe('is in')
  expect(await logIn(flow, 'eve', 'hers')).toBe(WRONG)
  flow.rewriteAuthFile(['"eve" "hers"', ADA])
  await untilLogged(flow, 'auth_file: 1 users added')
})

test('a missing auth_file leaves users as they were, and is read when it exists again', async () => {
  const flow = await start()
  flow.removeAuthFile()
  await untilLogged(flow, 'auth_file cannot be read')
  expect(await logIn(flow, 'ada', 'secret')).toBe('is in')
  flow.rewriteAuthFile([ADA, '"eve" "hers"'])
  await untilLogged(flow, 'auth_file: 1 users added')
})

test('a change of auth_file that a reload has read is not logged again', async () => {
  const flow = await start()
  const lines = [ADA, '"broken', '"eve" "hers"']
  flow.change({ authFile: lines })
  await flow.pooler.control.reload()
  expect(await logIn(flow, 'eve', 'hers')).toBe('is in')
  await look(flow, 5)
  expect(flow.logged('has changed but is broken')).toEqual([])
  await until(
    () => flow.logged('auth_file: 1 users added').length === 1,
    () => 'the reload should be logged',
  )
})
