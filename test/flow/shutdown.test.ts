/** SHUTDOWN ends the pooler: at once, or when all clients have disconnected, or when all servers are free. */

import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { ask, command, ROOT, run } from '../support/flow/commands.ts'
import { quiet, until } from '../support/flow/inbox.ts'
import { complete, error, notice, parameterStatus, ready } from '../support/flow/replies.ts'
import { query, startup } from '../support/flow/requests.ts'
import { type Flow, startFlow, startPair } from '../support/flow/start.ts'

async function hasStopped(flow: Flow): Promise<boolean> {
  await quiet()
  return Promise.race([flow.pooler.stopped.then(() => true), new Promise<boolean>((r) => setImmediate(() => r(false)))])
}

const IS_OVER = 'ErrorResponse(FATAL 57P01 pooler is shutting down)'
const REFUSED = 'ErrorResponse(FATAL 57P01 server shutting down)'

describe('SHUTDOWN', () => {
  test('stops at once: clients get an error, and running queries are cancelled', async () => {
    const { flow, client, postgres } = await startPair()
    await run(client, flow)
    const console = await flow.connect(ROOT)
    console.send(query('shutdown'))
    expect((await client.inbox.next()).shown).toBe(IS_OVER)
    expect((await console.inbox.next()).shown).toBe(IS_OVER)
    await flow.postgres.nextCancel()
    postgres.send(error('57014', 'canceling statement due to user request'), ready())
    await flow.pooler.stopped
    await client.expectClosed()
    await console.expectClosed()
  })
})

describe('on SHUTDOWN, a client that does not read its last message', () => {
  /** Begins to stop the pooler, and moves the clock until it has stopped. Resolves with how many milliseconds that took. */
  async function timeToStop(flow: Flow): Promise<number> {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    onTestFinished(() => void vi.useRealTimers())
    flow.pooler.stop()
    let ms = 0
    for (; !(await hasStopped(flow)); ms += 10) vi.advanceTimersByTime(10)
    vi.useRealTimers()
    return ms
  }

  test('is waited for only briefly if it is idle', async () => {
    const { flow, client } = await startPair()
    client.channel.pause()
    expect(await timeToStop(flow)).toBe(500)
  })

  test('is waited for longer if it has not read earlier data', async () => {
    const { flow, client, postgres } = await startPair({ windowBytes: 1_000 })
    await run(client, flow)
    client.channel.pause()
    postgres.send(notice('x'.repeat(5_000)))
    await quiet()
    expect(await timeToStop(flow)).toBeGreaterThanOrEqual(2_000)
  })
})

describe('SHUTDOWN WAIT_FOR_CLIENTS', () => {
  test('accepts no new clients, serves the connected ones, and stops after the last', async () => {
    const flow = await startFlow()
    const [one, two, console] = [await flow.connect(), await flow.connect(), await flow.connect(ROOT)]
    console.send(query('shutdown wait_for_clients'))
    expect(await console.answer()).toEqual(['CommandComplete(SHUTDOWN)', 'ReadyForQuery(I)'])
    await expect(flow.dial()).rejects.toThrow()
    expect(flow.logged('waiting for')).toEqual([expect.stringMatching(/ LOG waiting for 2 clients$/)])
    await ask(one, flow)
    one.leave()
    expect(await hasStopped(flow)).toBe(false)
    await ask(two, flow)
    console.send(query('select 1'))
    await console.answer()
    two.leave()
    expect((await console.inbox.next()).shown).toBe(IS_OVER)
    await flow.pooler.stopped
  })

  test('stops at once if only the console is connected, which gets its answer', async () => {
    const flow = await startFlow()
    const console = await flow.connect(ROOT)
    console.send(query('shutdown wait_for_clients'))
    await console.expect('CommandComplete(SHUTDOWN)', 'ReadyForQuery(I)', IS_OVER)
    await flow.pooler.stopped
    expect(flow.logged('waiting for')).toEqual([])
  })

  test('waits for a client that is logging in', async () => {
    const flow = await startFlow({ settings: { client_login_timeout: 60 } })
    const client = await flow.dial()
    await quiet()
    await flow.pooler.control.shutdown('wait_for_clients')
    expect(await hasStopped(flow)).toBe(false)
    client.send(startup({ user: 'ada', database: 'app' }))
    await client.answer()
    await ask(client, flow)
    client.leave()
    await flow.pooler.stopped
  })

  test('disconnects clients between two transactions after shutdown_grace', async () => {
    const { flow, client, postgres } = await startPair({ settings: { shutdown_grace: 20 } })
    const [idle, console] = [await flow.connect(), await flow.connect(ROOT)]
    client.send(query('begin'))
    await postgres.expect('Query(begin)')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    console.send(query('shutdown wait_for_clients'))
    await console.answer()
    await flow.advance(19_000)
    expect(idle.inbox.take()).toEqual([])
    await flow.advance(2_000)
    expect((await idle.inbox.next()).shown).toBe(IS_OVER)
    expect(await hasStopped(flow)).toBe(false)
    client.send(query('commit'))
    await postgres.expect('Query(commit)')
    postgres.send(complete('COMMIT'), ready())
    await client.answer()
    await flow.advance(100)
    expect((await client.inbox.next()).shown).toBe(IS_OVER)
    expect((await console.inbox.next()).shown).toBe(IS_OVER)
    await flow.pooler.stopped
  })

  test('keeps the statistics of databases whose clients have been disconnected', async () => {
    const settings = { shutdown_grace: 20 }
    const flow = await startFlow({ databases: ['app=host=db', 'other=host=db'], settings })
    const [client, other] = [await flow.connect(), await flow.connect({ database: 'other' })]
    const { finish } = await run(client, flow)
    await ask(other, flow)
    const queries = () => flow.pooler.parts.fleet.totals().get('other')?.queries
    expect(queries()).toBe(1)
    await flow.pooler.control.shutdown('wait_for_clients')
    await flow.advance(21_000)
    expect((await other.inbox.next()).shown).toBe(IS_OVER)
    await flow.advance(1_000)
    expect([...flow.pooler.parts.pools].map(({ database }) => database)).toEqual(['app'])
    expect(queries()).toBe(1)
    await finish()
    await flow.advance(100)
    expect((await client.inbox.next()).shown).toBe(IS_OVER)
    await flow.pooler.stopped
  })

  test('disconnects, after shutdown_grace, a client that loses the server that was being prepared for it', async () => {
    const settings = { shutdown_grace: 20, server_connect_timeout: 60 }
    const { flow, client, postgres } = await startPair({ settings })
    const [other, console] = [await flow.connect(), await flow.connect(ROOT)]
    client.send(query('set timezone to japan'))
    await postgres.expect('Query')
    postgres.send(complete('SET'), parameterStatus('TimeZone', 'Japan'), ready())
    await client.answer()
    other.send(query('select 1'))
    await postgres.expect("Query(select pg_catalog.set_config('TimeZone', 'Etc/UTC', false))")
    console.send(query('shutdown wait_for_clients'))
    await console.answer()
    await flow.advance(21_000)
    expect((await client.inbox.next()).shown).toBe(IS_OVER)
    postgres.close()
    expect((await other.inbox.next()).shown).toBe(IS_OVER)
    await flow.advance(100)
    expect((await console.inbox.next()).shown).toBe(IS_OVER)
    await flow.pooler.stopped
  })

  test.each(['wait_for_clients', 'wait_for_servers'] as const)(
    '%s waits no longer than shutdown_timeout, even if queries run',
    async (mode) => {
      const { flow, client, postgres } = await startPair({ settings: { shutdown_timeout: 30 } })
      await run(client, flow)
      await flow.pooler.control.shutdown(mode)
      await flow.advance(29_000)
      expect(await hasStopped(flow)).toBe(false)
      await flow.advance(2_000)
      expect((await client.inbox.next()).shown).toBe(IS_OVER)
      await flow.postgres.nextCancel()
      postgres.send(error('57014', 'canceling statement due to user request'), ready())
      await flow.pooler.stopped
    },
  )

  test('can be changed to a faster SHUTDOWN, but not to a slower one', async () => {
    const { flow, client } = await startPair()
    const { finish } = await run(client, flow)
    const { control } = flow.pooler
    await control.shutdown('wait_for_clients')
    await expect(control.shutdown('wait_for_clients')).rejects.toThrow('pooler is shutting down')
    await control.shutdown('wait_for_servers')
    await expect(control.shutdown('wait_for_clients')).rejects.toThrow('pooler is shutting down')
    await finish()
    expect((await client.inbox.next()).shown).toBe(IS_OVER)
    await flow.pooler.stopped
  })
})

test('an immediate SHUTDOWN cannot be changed any more', async () => {
  const { flow, client } = await startPair()
  const { control } = flow.pooler
  await control.shutdown('wait_for_clients')
  await control.shutdown('at_once')
  await expect(control.shutdown('wait_for_servers')).rejects.toThrow('pooler is shutting down')
  expect((await client.inbox.next()).shown).toBe(IS_OVER)
  await flow.pooler.stopped
})

describe('SHUTDOWN WAIT_FOR_SERVERS', () => {
  test('lets transactions finish, refuses new ones, and stops after the last', async () => {
    const flow = await startFlow({ settings: { default_pool_size: 2 } })
    const [one, two, three, idle] = [
      await flow.connect(),
      await flow.connect(),
      await flow.connect(),
      await flow.connect(),
    ]
    const console = await flow.connect(ROOT)
    const first = await run(one, flow)
    two.send(query('begin'))
    const transaction = await flow.postgres.next()
    const server = transaction === first.server ? await flow.postgres.next() : transaction
    await server.expect('Query(begin)')
    server.send(complete('BEGIN'), ready('T'))
    await two.answer()
    three.send(query('select 3'))
    await flow.expectCounts({ leased: 2, waiting: 1 })

    console.send(query('shutdown wait_for_servers'))
    await console.expect('CommandComplete(SHUTDOWN)', 'ReadyForQuery(I)')
    expect((await three.inbox.next()).shown).toBe(REFUSED)
    await three.expectClosed()
    await expect(flow.dial()).rejects.toThrow()
    await first.finish()
    one.send(query('select 1'))
    expect((await one.inbox.next()).shown).toBe(REFUSED)
    await one.expectClosed()
    expect(await hasStopped(flow)).toBe(false)

    two.send(query('commit'))
    await server.expect('Query(commit)')
    server.send(complete('COMMIT'), ready())
    await two.answer()
    for (const client of [two, idle, console]) expect((await client.inbox.next()).shown).toBe(IS_OVER)
    await flow.pooler.stopped
  })

  test('refuses a client that is logging in', async () => {
    const { flow, client } = await startPair()
    const { finish } = await run(client, flow)
    const late = await flow.dial()
    await quiet()
    await flow.pooler.control.shutdown('wait_for_servers')
    late.send(startup({ user: 'ada', database: 'app' }))
    expect((await late.inbox.next()).shown).toBe(REFUSED)
    await late.expectClosed()
    await finish()
    await until(
      () => client.isClosed,
      () => 'it goes on',
    )
    client.inbox.take()
  })

  test('in session mode waits for the session', async () => {
    const { flow, client, postgres } = await startPair({ settings: { pool_mode: 'session' } })
    postgres.send(complete('DISCARD ALL'), ready())
    await postgres.expect('Query(DISCARD ALL)')
    await ask(client, flow)
    await flow.pooler.control.shutdown('wait_for_servers')
    await ask(client, flow)
    expect(await hasStopped(flow)).toBe(false)
    client.leave()
    await flow.pooler.stopped
  })

  test('is for admins only', async () => {
    const flow = await startFlow({ settings: { auth_type: 'plain', stats_users: 'bob' }, authFile: ['"bob" "b"'] })
    const bob = await flow.connect({ user: 'bob', password: 'b', database: 'pgweir' })
    bob.send(query('shutdown'))
    expect((await bob.answer())[0]).toBe('ErrorResponse(ERROR 42501 admin access needed)')
    expect(await command(flow, 'shutdown').catch((problem) => String(problem))).toContain('28P01')
  })
})

test('a worker that is being replaced stops with the others at a SHUTDOWN, within shutdown_timeout', async () => {
  const { flow, client, postgres } = await startPair({ settings: { shutdown_timeout: 5 } })
  client.send(query('begin'))
  await postgres.expect('Query(begin)')
  postgres.send(complete('BEGIN'), ready('T'))
  await client.answer()
  flow.pooler.parts.drain(1_000)
  // No such line: operators who read the log would look for the person who gave the command.
  expect(flow.logged('command issued')).toEqual([])
  expect(flow.logged('this worker is being replaced by another one')).toHaveLength(1)
  await flow.pooler.control.shutdown('wait_for_clients')
  expect(flow.logged('SHUTDOWN WAIT_FOR_CLIENTS command issued')).toHaveLength(1)
  await expect(flow.pooler.control.shutdown('wait_for_clients')).rejects.toThrow('pooler is shutting down')
  await flow.advance(6_000)
  await client.expect('ErrorResponse(FATAL 57P01 pooler is shutting down)')
  await flow.pooler.stopped
})
