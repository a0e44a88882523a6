/** Repeated failed logins from one address are answered with growing delays; other clients are not affected. */

import { expect, test } from 'vitest'
import { quiet } from '../support/flow/inbox.ts'
import { password, query, startup } from '../support/flow/requests.ts'
import { type Flow, type FlowOptions, startFlow } from '../support/flow/start.ts'

const WRONG = 'ErrorResponse(FATAL 28P01 password authentication failed)'
const FULL = 'ErrorResponse(FATAL 53300 no more connections allowed (max_client_conn))'

function start(options: FlowOptions = {}): Promise<Flow> {
  const settings = { auth_type: 'plain', auth_failure_delay: 1, ...options.settings }
  return startFlow({ authFile: ['"ada" "secret"'], ...options, settings })
}

/** Connects a client that gives a wrong password. */
async function guess(flow: Flow, user = 'ada') {
  const client = await flow.dial()
  client.send(startup({ user, database: 'app' }))
  await client.expect('AuthenticationCleartextPassword')
  client.send(password('wrong'))
  await quiet()
  return client
}

async function fail(flow: Flow, times: number): Promise<void> {
  for (let time = 0; time < times; time++) await (await guess(flow)).expect(WRONG)
}

test('the fourth failure from an address is answered after auth_failure_delay, the fifth after twice that, whether or not the user exists', async () => {
  for (const user of ['ada', 'nobody']) {
    const flow = await start()
    await fail(flow, 3)
    for (const ms of [1_000, 2_000]) {
      const client = await guess(flow, user)
      await flow.advance(ms - 100)
      await client.expectNothing()
      await flow.advance(100)
      await client.expect(WRONG)
      await client.expectClosed()
    }
    expect(flow.logged('several logins have failed')).toHaveLength(1)
  }
})

test('while an answer is delayed, a client with the right password is let in at once', async () => {
  const flow = await start()
  await fail(flow, 3)
  const held = await guess(flow)
  await flow.connect({ password: 'secret' })
  await flow.postgres.next()
  await held.expectNothing()
  await flow.advance(1_000)
  await held.expect(WRONG)
})

test('a client whose answer is delayed does not count towards max_client_conn', async () => {
  const flow = await start({ settings: { max_client_conn: 1 } })
  await fail(flow, 3)
  const held = await guess(flow)
  await flow.connect({ password: 'secret' })
  await flow.advance(1_000)
  await held.expect(WRONG)
})

test('a client that has not authenticated yet does not count towards max_client_conn: the first to authenticate gets the place', async () => {
  const flow = await start({ settings: { max_client_conn: 1 } })
  const stranger = await flow.dial()
  const late = await flow.dial()
  for (const each of [stranger, late]) {
    each.send(startup({ user: 'ada', database: 'app' }))
    await each.expect('AuthenticationCleartextPassword')
  }
  await flow.connect({ password: 'secret' })
  await flow.postgres.next()
  late.send(password('secret'))
  await late.expect(FULL)
  const next = await flow.dial()
  next.send(startup({ user: 'ada', database: 'app' }))
  await next.expect(FULL)
})

test('a client whose answer is delayed may be disconnected when too many clients are logging in', async () => {
  const flow = await start()
  await fail(flow, 3)
  const held = await guess(flow)
  const [session] = flow.pooler.parts.sessions
  expect(session?.isAwaited).toBe(true)
  session?.giveUp('too many are logging in')
  await held.expectClosed()
})

test('a client whose answer is delayed is not read from, and may disconnect', async () => {
  const flow = await start()
  await fail(flow, 3)
  const [talking, gone] = [await guess(flow), await guess(flow)]
  talking.send(query('one'), password('secret'))
  gone.vanish()
  await quiet()
  expect(flow.pooler.parts.sessions.count).toBe(1)
  await flow.advance(1_000)
  await talking.expect(WRONG)
  await talking.expectClosed()
})

test('the delay is cut short by client_login_timeout', async () => {
  const flow = await start({ settings: { auth_failure_delay: 100, client_login_timeout: 5 } })
  await fail(flow, 3)
  const client = await guess(flow)
  await flow.advance(5_100)
  await client.expect('ErrorResponse(FATAL 08006 client_login_timeout)')
})

test('an error that is not a failed password is answered without delay', async () => {
  const flow = await start()
  await fail(flow, 3)
  const client = await flow.dial()
  client.send(startup({ user: 'ada', database: 'app' }))
  await client.expect('AuthenticationCleartextPassword')
  client.send(query('one'))
  await client.expect("ErrorResponse(FATAL 08P01 a message of type 'Q' is out of turn during the login)")
})
