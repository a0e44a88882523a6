/** Real helper processes that behave as PAM might. */

import { ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { PamHelpers, type PamHelpersOptions } from '../../../src/net/pam-helpers.ts'
import { until } from '../../support/e2e/until.ts'

const folder = mkdtempSync(join(tmpdir(), 'pgweir-pam-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const program = join(folder, 'helper.mjs')
writeFileSync(
  program,
  `process.on('message', ({ user, password }) => {
    if (user === 'killer') process.kill(process.pid, 'SIGKILL')
    else if (user === 'expired') process.send({ isRight: false, reason: 'User account has expired', delayMs: 0 })
    else if (user === 'delayed') process.send({ isRight: false, reason: null, delayMs: 2000 })
    else if (user !== 'slow') process.send({ isRight: password === 'right', reason: null, delayMs: 0 })
  })`,
)

function setUp(options: Partial<PamHelpersOptions> = {}) {
  const troubles: string[] = []
  const started: number[] = []
  const helpers = new PamHelpers({
    start: () => {
      const helper = fork(program, { execArgv: [] })
      started.push(helper.pid ?? 0)
      return helper
    },
    onTrouble: (sentence) => troubles.push(sentence),
    ...options,
  })
  onTestFinished(() => helpers.close())
  const isRight = (user: string, password: string, isWanted = () => true) =>
    helpers.isRight({ service: 'pgbouncer', user, password, host: '' }, '', isWanted)
  return { helpers, troubles, started, isRight }
}

test('one process answers one question after another', async () => {
  const { isRight, started, troubles } = setUp()
  expect(await isRight('ada', 'right')).toBe(true)
  expect(await isRight('ada', 'wrong')).toBe(false)
  expect(started).toHaveLength(1)
  expect(troubles).toEqual([])
})

test('up to eight processes answer at once, and further questions wait', async () => {
  const { isRight, started, helpers } = setUp()
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) => isRight('ada', index % 2 ? 'right' : 'wrong')),
  )
  expect(answers).toEqual(Array.from({ length: 20 }, (_, index) => index % 2 === 1))
  expect(started).toHaveLength(8)
  expect(helpers.count).toBe(8)
})

test('PAM’s reason for refusing a user with the right password is logged', async () => {
  const { isRight, troubles } = setUp()
  expect(await isRight('expired', 'right')).toBe(false)
  expect(troubles).toEqual(['PAM rejected user "expired": User account has expired'])
})

test('a helper killed by a PAM module fails only its own client’s login', async () => {
  const { isRight, troubles, helpers } = setUp()
  expect(await isRight('killer', 'right')).toBe(false)
  expect(troubles).toEqual(['PAM rejected user "killer": the helper process ended with SIGKILL'])
  expect(helpers.count).toBe(0)
  expect(await isRight('ada', 'right')).toBe(true)
})

test('a helper that hangs is given up', async () => {
  const { isRight, troubles, helpers } = setUp({ patienceMs: 100 })
  expect(await isRight('slow', 'right')).toBe(false)
  expect(troubles).toEqual(['PAM rejected user "slow": no answer within 0.1 s'])
  expect(helpers.count).toBe(0)
})

test('a helper that cannot be started is logged, and the login fails', async () => {
  const { isRight, troubles, helpers } = setUp({
    start: () => fork(join(folder, 'none.mjs'), { execArgv: [], stdio: 'ignore' as never }),
  })
  expect(await isRight('ada', 'right')).toBe(false)
  expect(troubles[0]).toContain('PAM rejected user "ada": ')
  expect(helpers.count).toBe(0)
})

test('nor does it do harm that there is no memory for a process, or no open file', async () => {
  const starts = [
    () => {
      throw new Error('spawn ENOMEM')
    },
    // As Node does it: the process has no channel then, and its error comes later.
    () => {
      const helper = new ChildProcess()
      process.nextTick(() => helper.emit('error', new Error('spawn EMFILE')))
      return helper
    },
    () => fork(program, { execArgv: [] }),
  ]
  const { isRight, troubles, helpers } = setUp({ start: () => starts.shift()?.() as ChildProcess })
  expect(await isRight('ada', 'right')).toBe(false)
  expect(await isRight('ada', 'right')).toBe(false)
  expect(troubles).toEqual(['ENOMEM', 'EMFILE'].map((what) => `PAM rejected user "ada": spawn ${what}`))
  expect(helpers.count).toBe(0)
  expect(await isRight('ada', 'right')).toBe(true)
})

test('a client that has gone is not asked about', async () => {
  const { isRight, started } = setUp()
  expect(await isRight('ada', 'right', () => false)).toBe(false)
  expect(started).toEqual([])
})

test('a client that goes while its module hangs does not keep the process from others', async () => {
  const { isRight, troubles, helpers } = setUp({ lookMs: 10 })
  let isThere = true
  const slow = Array.from({ length: 8 }, () => isRight('slow', 'right', () => isThere))
  const other = isRight('ada', 'right')
  await until('all are asked about', () => helpers.count === 8)
  isThere = false
  expect(await other).toBe(true)
  expect(await Promise.all(slow)).toEqual(slow.map(() => false))
  expect(troubles).toEqual([])
})

test('answers that modules want to be held back keep no process from others', async () => {
  const { isRight, started } = setUp()
  let answered = 0
  const delayed = Array.from({ length: 8 }, () => isRight('delayed', 'wrong').then(() => answered++))
  expect(await isRight('ada', 'right')).toBe(true)
  expect(answered).toBe(0)
  await Promise.all(delayed)
  expect(started).toHaveLength(8)
})

test('closing answers what is asked and starts nothing, and is no trouble', async () => {
  const { isRight, troubles, helpers, started } = setUp()
  const answers = Array.from({ length: 10 }, () => isRight('slow', 'right'))
  await until('as many as may are asked about', () => helpers.count === 8)
  helpers.close()
  expect(await Promise.all(answers)).toEqual(answers.map(() => false))
  expect(await isRight('ada', 'right')).toBe(false)
  expect(started).toHaveLength(8)
  expect(helpers.count).toBe(0)
  expect(troubles).toEqual([])
})

test('processes end when there is nothing to ask for a while', async () => {
  const { isRight, helpers } = setUp({ idleMs: 1 })
  await isRight('ada', 'right')
  await until('no helper is left', () => helpers.count === 0)
  expect(await isRight('ada', 'right')).toBe(true)
})
