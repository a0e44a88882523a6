/** Settings that each decide one thing that clients may do, or one thing that they receive. */

import { describe, expect, test } from 'vitest'
import { ask, command, ROOT, run } from '../support/flow/commands.ts'
import { quiet } from '../support/flow/inbox.ts'
import { RESULT } from '../support/flow/prepared.ts'
import { complete, parameterStatus, parseComplete, ready, rows } from '../support/flow/replies.ts'
import { batch, query, startup } from '../support/flow/requests.ts'
import { startFlow, startPair } from '../support/flow/start.ts'

describe('disable_pqexec', () => {
  test('refuses simple queries, without costing a server', async () => {
    const { client, postgres, flow } = await startPair({ settings: { disable_pqexec: 1 } })
    client.send(query('select 1'))
    await client.expect('ErrorResponse(FATAL 0A000 PQexec disallowed)')
    await client.expectClosed()
    await postgres.expectNothing()
    await flow.expectCounts({ idle: 1 })
  })

  test('allows extended queries, and simple ones on the console', async () => {
    const { client, postgres, flow } = await startPair({ settings: { disable_pqexec: 1 } })
    client.send(batch('select 1'))
    await postgres.expect('Parse', 'Bind', 'Execute', 'Sync')
    postgres.send(parseComplete, RESULT)
    expect(await client.answer()).toContain('CommandComplete(SELECT 1)')
    expect(await command(flow, 'show version')).toContain('CommandComplete(SHOW)')
  })

  test('can only be changed by a restart', async () => {
    const { flow } = await startPair()
    expect(await command(flow, 'set disable_pqexec = 1')).toEqual([
      expect.stringContaining('ErrorResponse(ERROR 55P02'),
      'ReadyForQuery(I)',
    ])
  })
})

describe('login_notify_message', () => {
  test('is sent to each client that logs in, right before ReadyForQuery', async () => {
    const { flow } = await startPair()
    flow.change({ settings: { login_notify_message: 'down on Sunday' } })
    await command(flow, 'reload')
    const client = await flow.dial()
    client.send(startup({ user: 'ada', database: 'app' }))
    expect((await client.answer()).slice(-3)).toEqual([
      expect.stringContaining('BackendKeyData'),
      'NoticeResponse(down on Sunday)',
      'ReadyForQuery(I)',
    ])
  })

  test('can be changed for later clients, and is not sent on the console', async () => {
    const { flow } = await startPair()
    await command(flow, "set login_notify_message = 'soon'")
    const client = await flow.dial()
    client.send(startup({ user: 'ada', database: 'app' }))
    expect(await client.answer()).toContain('NoticeResponse(soon)')
    const root = await flow.dial()
    root.send(startup(ROOT))
    expect((await root.answer()).join()).not.toContain('NoticeResponse')
    await command(flow, 'reload')
    const later = await flow.dial()
    later.send(startup({ user: 'ada', database: 'app' }))
    expect((await later.answer()).join()).not.toContain('NoticeResponse')
  })
})

describe('server_fast_close', () => {
  const SESSION = { pool_mode: 'session', server_reset_query: '', default_pool_size: 1 }
  const FATAL = 'ErrorResponse(FATAL 57P01 database configuration changed)'

  test('disconnects a session between transactions when its server has to be closed', async () => {
    const { flow, client, postgres } = await startPair({ settings: { ...SESSION, server_fast_close: 1 } })
    await (await run(client, flow)).finish()
    await command(flow, 'reconnect')
    await flow.advance(100)
    await client.expect(FATAL)
    await client.expectClosed()
    await postgres.expectClosed()
  })

  test('disconnects a session in a transaction at the end of the transaction', async () => {
    const { flow, client, postgres } = await startPair({ settings: { ...SESSION, server_fast_close: 1 } })
    client.send(query('begin'))
    await postgres.expect('Query(begin)')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    await command(flow, 'reconnect')
    await flow.advance(100)
    await client.expectNothing()
    client.send(query('commit'))
    await postgres.expect('Query(commit)')
    postgres.send(complete('COMMIT'), ready())
    await client.expect('CommandComplete(COMMIT)', 'ReadyForQuery(I)', FATAL)
    await client.expectClosed()
    await postgres.expectClosed()
  })

  test('can be turned on after RECONNECT', async () => {
    const { flow, client } = await startPair({ settings: SESSION })
    await (await run(client, flow)).finish()
    await command(flow, 'reconnect')
    await flow.advance(100)
    await client.expectNothing()
    await command(flow, 'set server_fast_close = 1')
    await flow.advance(100)
    await client.expect(FATAL)
    await client.expectClosed()
  })

  test('lets the session keep its server if it is off', async () => {
    const { flow, client, postgres } = await startPair({ settings: SESSION })
    await (await run(client, flow)).finish()
    await command(flow, 'reconnect')
    await flow.advance(100)
    client.send(query('select 2'))
    await postgres.expect('Query(select 2)')
    postgres.send(rows('2'), ready())
    await client.answer()
  })

  test('disconnects no client in transaction mode', async () => {
    const { flow, client } = await startPair({ settings: { server_fast_close: 1 } })
    const { server, finish } = await run(client, flow)
    await command(flow, 'reconnect')
    await flow.advance(100)
    await finish()
    await server.expectClosed()
    await quiet()
    expect(client.isClosed).toBe(false)
  })
})

test('RELOAD reads the file to which conffile was SET', async () => {
  const flow = await startFlow()
  await command(flow, 'set conffile = /etc/other.ini')
  await command(flow, 'reload')
  expect(flow.reloadedFrom).toEqual(['/etc/other.ini'])
})

test('parameters named in track_extra_parameters follow the client from server to server', async () => {
  const followed = async (track_extra_parameters: string) => {
    const { flow, client, postgres } = await startPair({ settings: { track_extra_parameters } })
    const other = await flow.connect()
    client.send(query('changes it'))
    await postgres.expect('Query(changes it)')
    postgres.send(parameterStatus('in_hot_standby', 'on'), complete('SET'), ready())
    await client.answer()
    // The other client still has the old value.
    other.send(query('select 1'))
    await quiet()
    const asked = postgres.inbox.take().map(({ shown }) => shown)
    other.vanish()
    postgres.close()
    await quiet()
    return asked
  }
  expect(await followed('')).toEqual(['Query(select 1)'])
  expect((await followed('in_hot_standby')).join()).toContain('in_hot_standby')
})

test('a parameter named in track_extra_parameters that servers do not report is logged, once for equal servers', async () => {
  const { flow } = await startPair({
    settings: { track_extra_parameters: 'IntervalStyle, in_hot_standby, Statement_Timeout', min_pool_size: 2 },
  })
  await flow.advance(1_000)
  expect(flow.postgres.servers).toHaveLength(2)
  expect(flow.logged('track_extra_parameters')).toEqual([
    expect.stringMatching(
      /WARNING app\/ada track_extra_parameters: the server does not report "Statement_Timeout", so it does not follow clients$/,
    ),
  ])
})

test('scram_iterations is the number of iterations for a plain password', async () => {
  const flow = await startFlow({
    settings: { auth_type: 'scram-sha-256', scram_iterations: 7 },
    authFile: ['"ada" "secret"'],
  })
  const client = await flow.connect({ password: 'secret' })
  const first = client.inbox.all.find(({ name }) => name === 'AuthenticationSASLContinue')
  expect(String(first?.read?.['data'])).toMatch(/,i=7$/)
})

test('log_stats = 0 turns off the log line of each stats_period', async () => {
  const { flow } = await startPair({ settings: { log_stats: 0, stats_period: 10 } })
  await flow.advance(20_000)
  expect(flow.logged('stats:')).toEqual([])
  await command(flow, 'set log_stats = 1')
  await flow.advance(20_000)
  expect(flow.logged('stats:')).not.toEqual([])
})

test('pkt_buf, job_name and service_name are shown and cannot be SET without a restart', async () => {
  const flow = await startFlow()
  for (const [key, value] of [
    ['pkt_buf', '4096'],
    ['job_name', 'pgbouncer'],
    ['service_name', 'pgbouncer'],
  ]) {
    expect((await command(flow, `set ${key} = 8192`)).join()).toContain('ErrorResponse(ERROR 55P02')
    expect((await command(flow, 'show config')).join()).toContain(`DataRow(${key}, ${value}, ${value}, no)`)
  }
})

test('sbuf_loopcnt can be SET, and the log says that it has no effect', async () => {
  const flow = await startFlow()
  expect(await command(flow, 'set sbuf_loopcnt = 1')).toContain('CommandComplete(SET sbuf_loopcnt=1)')
  expect((await command(flow, 'show config')).join()).toContain('DataRow(sbuf_loopcnt, 1, 5, yes)')
  expect(flow.logged('sbuf_loopcnt')).toEqual([expect.stringContaining('sbuf_loopcnt has no effect: each connection')])
})

test('metrics_max_pools: the first pools are shown by name, the rest together', async () => {
  const flow = await startFlow({ settings: { metrics_max_pools: 1 } })
  for (const user of ['ada', 'bob', 'eve']) await ask(await flow.connect({ user }), flow)
  const tallies = flow.pooler.parts.pools.tallies()
  expect(tallies.map(({ database, user }) => `${database}/${user}`)).toEqual(['app/ada', 'other/other'])
})
