/** Settings change while clients work: the new ones apply at once, and clients notice nothing else. */

import { describe, expect, test } from 'vitest'
import type { FlowClient } from '../support/flow/client.ts'
import { ask, command, ROOT, reload, run } from '../support/flow/commands.ts'
import { quiet } from '../support/flow/inbox.ts'
import { closeComplete, complete, parseComplete, ready, rows } from '../support/flow/replies.ts'
import { bind, execute, parse, query, sync } from '../support/flow/requests.ts'
import { type FlowOptions, startFlow, startPair } from '../support/flow/start.ts'

describe('RELOAD', () => {
  test('is answered in both protocols, and logs what has changed', async () => {
    const { flow } = await startPair({ settings: { default_pool_size: 20 } })
    const console = await flow.connect(ROOT)
    flow.change({ settings: { default_pool_size: 10 }, users: ['ada = pool_size=3'] })
    console.send(parse('', 'RELOAD'), bind('', ''), execute(), sync)
    expect(await console.answer()).toEqual([
      'ParseComplete',
      'BindComplete',
      'CommandComplete(RELOAD)',
      'ReadyForQuery(I)',
    ])
    expect(flow.logged('default_pool_size: 20 → 10')).toHaveLength(1)
    expect(flow.logged('user "ada" is added')).toHaveLength(1)
    expect(flow.pool().settings.size).toBe(3)
  })

  test('changes nothing if the file has an error, and logs where', async () => {
    const { flow, client } = await startPair({ settings: { default_pool_size: 20 } })
    flow.change({ settings: { default_pool_size: 10, query_timeout: 'soon' }, databases: [] })
    expect(await command(flow, 'reload')).toEqual([
      'ErrorResponse(ERROR F0000 RELOAD failed, see logs for additional details)',
      'ReadyForQuery(I)',
    ])
    expect(flow.logged('error: --query-timeout cannot be "soon"')).toHaveLength(1)
    expect(flow.pool().settings.size).toBe(20)
    await ask(client, flow)
  })

  test('fails when auth_file or the log file cannot be opened', async () => {
    const { flow } = await startPair({ settings: { max_client_conn: 100 } })
    for (const [broken, words] of [
      [{ auth_file: '/nowhere/users.txt' }, 'auth_file cannot be read'],
      [{ logfile: '/nowhere/pgweir.log' }, 'logfile cannot be written'],
    ] as const) {
      flow.change({ settings: { max_client_conn: 7, ...broken } })
      expect((await command(flow, 'reload'))[0]).toContain('F0000')
      expect(flow.logged(words)).toHaveLength(1)
      expect(flow.pooler.parts.settings.general.max_client_conn).toBe(100)
    }
  })

  test('logs which settings need a restart, and applies the others', async () => {
    const { flow } = await startPair()
    await reload(flow, { settings: { listen_port: 7000, max_client_conn: 7 } })
    expect(flow.logged('WARNING listen_port: 0 → 7000 takes effect only at a restart')).toHaveLength(1)
    expect(flow.pooler.parts.settings.general).toMatchObject({ listen_port: 0, max_client_conn: 7 })
  })

  test('is for admins only', async () => {
    const authFile = ['"ada" "a"', '"bob" "b"']
    const flow = await startFlow({ settings: { auth_type: 'plain', stats_users: 'bob' }, authFile })
    const bob = await flow.connect({ user: 'bob', password: 'b', database: 'pgweir' })
    for (const text of ['reload', 'set verbose = 1']) {
      bob.send(query(text))
      expect((await bob.answer())[0]).toBe('ErrorResponse(ERROR 42501 admin access needed)')
    }
  })
})

describe('SET', () => {
  test('applies until the next reload, which logs that', async () => {
    const { flow } = await startPair({ settings: { default_pool_size: 20 } })
    expect(await command(flow, 'set default_pool_size = 5')).toEqual([
      'CommandComplete(SET default_pool_size=5)',
      'ReadyForQuery(I)',
    ])
    expect(flow.pool().settings.size).toBe(5)
    expect(await command(flow, `SET query_timeout TO '5min'`)).toContain('CommandComplete(SET query_timeout=5min)')
    expect(flow.pool().settings).toMatchObject({ size: 5, queryTimeoutMs: 300_000 })
    await reload(flow)
    expect(flow.logged('default_pool_size: 5 → 20 (it was SET on the console)')).toHaveLength(1)
    expect(flow.pool().settings).toMatchObject({ size: 20, queryTimeoutMs: 0 })
  })

  test('is refused with a reason if it cannot be applied', async () => {
    const { flow } = await startPair({ settings: { default_pool_size: 20 } })
    const console = await flow.connect(ROOT)
    for (const [text, words] of [
      ['set default_pool_size = many', 'ERROR 22023 SET failed'],
      ['set default_pol_size = 5', 'ERROR 22023 SET failed'],
      [`set auth_file = '/nowhere/users.txt'`, 'ERROR 22023 SET failed'],
      [`set logfile = '/nowhere/pgweir.log'`, 'ERROR 22023 SET failed'],
      ['set listen_port = 7000', 'ERROR 55P02 parameter "listen_port" cannot be changed without restarting the pooler'],
    ] as const) {
      console.send(query(text))
      expect((await console.answer())[0], text).toBe(`ErrorResponse(${words})`)
    }
    expect(flow.pool().settings.size).toBe(20)
  })
})

describe('a reload applies at once:', () => {
  test('a larger default_pool_size, to waiting clients', async () => {
    const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1 } })
    client.send(query('one'))
    await postgres.expect('Query')
    const other = await flow.connect()
    other.send(query('two'))
    await flow.expectCounts({ leased: 1, waiting: 1 })
    await reload(flow, { settings: { default_pool_size: 2 } })
    const second = await flow.postgres.next()
    await second.expect('Query(two)')
    second.send(rows('2'), ready())
    await other.answer()
    postgres.send(rows('1'), ready())
    await client.answer()
  })

  test('a smaller default_pool_size, to idle servers; busy ones are closed as they become free, although clients wait', async () => {
    const flow = await startFlow({ settings: { default_pool_size: 3 } })
    const clients = [await flow.connect(), await flow.connect(), await flow.connect(), await flow.connect()]
    const running = []
    for (const client of clients.slice(0, 3)) running.push(await run(client, flow))
    const [fourth] = clients.slice(3)
    fourth?.send(query('four'))
    await flow.expectCounts({ leased: 3, waiting: 1 })
    await reload(flow, { settings: { default_pool_size: 1 } })
    await flow.expectCounts({ leased: 3, waiting: 1 })
    await running[0]?.finish()
    await running[1]?.finish()
    await flow.expectCounts({ leased: 1, waiting: 1 })
    await running[2]?.finish()
    await running[2]?.server.expect('Query(four)')
    running[2]?.server.send(rows('4'), ready())
    await fourth?.answer()
    await flow.expectCounts({ idle: 1 })

    await reload(flow, { settings: { default_pool_size: 3 } })
    const again = [await run(clients[0] as FlowClient, flow), await run(clients[1] as FlowClient, flow)]
    for (const each of again) await each.finish()
    await flow.expectCounts({ idle: 2 })
    await reload(flow, { settings: { default_pool_size: 1 } })
    await flow.expectCounts({ idle: 1 })
  })

  test('query_timeout and query_wait_timeout, to running and waiting queries', async () => {
    const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1 } })
    client.send(query('one'))
    await postgres.expect('Query')
    const other = await flow.connect()
    other.send(query('two'))
    await flow.expectCounts({ leased: 1, waiting: 1 })
    await flow.advance(2_000)
    await reload(flow, { settings: { query_wait_timeout: 1, default_pool_size: 1 } })
    await flow.advance(0)
    expect((await other.inbox.next()).shown).toBe('ErrorResponse(FATAL 57014 query_wait_timeout)')
    await other.expectClosed()
    await reload(flow, { settings: { query_timeout: 1, default_pool_size: 1 } })
    await flow.advance(0)
    expect((await client.inbox.next()).shown).toBe('ErrorResponse(FATAL 57014 query timeout)')
    await client.expectClosed()
  })

  test('client_idle_timeout, to clients that had none', async () => {
    const { flow, client } = await startPair()
    await flow.advance(5_000)
    await reload(flow, { users: ['ada = client_idle_timeout=4'] })
    await flow.advance(0)
    expect((await client.inbox.next()).shown).toBe('ErrorResponse(FATAL 57P05 client_idle_timeout)')
    await client.expectClosed()
  })

  test('limits on clients, which disconnect no present client', async () => {
    const { flow, client } = await startPair()
    await flow.connect()
    await reload(flow, { settings: { max_client_conn: 1 } })
    await expect(flow.connect()).rejects.toThrow('53300 no more connections allowed (max_client_conn)')
    await ask(client, flow)
    await reload(flow, { settings: { max_client_conn: 3 } })
    await flow.connect()
  })

  test('limits on servers, to waiting clients', async () => {
    const { flow, client, postgres } = await startPair({ settings: { max_db_connections: 1 } })
    client.send(query('one'))
    await postgres.expect('Query')
    const other = await flow.connect()
    other.send(query('two'))
    await flow.expectCounts({ leased: 1, waiting: 1 })
    await reload(flow, { settings: { max_db_connections: 2 } })
    const second = await flow.postgres.next()
    await second.expect('Query(two)')
    second.send(rows('2'), ready())
    await other.answer()
    postgres.send(rows('1'), ready())
    await client.answer()
  })

  test('max_packet_size', async () => {
    const { flow, client } = await startPair({ settings: { max_packet_size: 2048 } })
    await reload(flow, { settings: { max_packet_size: 4096 } })
    client.send(query('x'.repeat(3000)))
    await quiet()
    const [server] = flow.postgres.servers
    await server?.expect('Query')
    server?.send(complete('SELECT 0'), ready())
    await client.answer()
  })
})

describe('a reload of pool_mode', () => {
  const session: FlowOptions = { settings: { pool_mode: 'session', default_pool_size: 2 } }
  const transaction: FlowOptions = { settings: { pool_mode: 'transaction', default_pool_size: 2 } }

  test('applies to clients that log in afterwards; present clients keep the old mode, and their servers are reset', async () => {
    const { flow, client, postgres } = await startPair(session)
    postgres.send(complete('DISCARD ALL'), ready())
    await postgres.expect('Query(DISCARD ALL)')
    await ask(client, flow)
    await flow.expectCounts({ leased: 1 })
    await reload(flow, transaction)
    await ask(client, flow)
    await flow.expectCounts({ leased: 1 })
    const newcomer = await flow.connect()
    await ask(newcomer, flow)
    await flow.expectCounts({ idle: 1, leased: 1 })
    client.leave()
    await postgres.expect('Query(DISCARD ALL)')
    postgres.send(complete('DISCARD ALL'), ready())
    await flow.expectCounts({ idle: 2 })
  })

  test('to session mode lets present clients go on sharing servers', async () => {
    const { flow, client } = await startPair(transaction)
    await reload(flow, session)
    await ask(client, flow)
    await flow.expectCounts({ idle: 1 })
  })
})

describe('a reload of users', () => {
  test('adds, removes and changes users of auth_file; connected clients stay', async () => {
    const settings = { auth_type: 'plain' }
    const { flow, client } = await startPair({
      settings,
      authFile: ['"ada" "a"', '"bob" "b"'],
      login: { user: 'ada', password: 'a' },
    })
    flow.change({ authFile: ['"bob" "other"', '"eve" "e"', '"root" "r"'] })
    flow.change({ settings: { ...settings, admin_users: 'root' } })
    // Before the file is read no user is an admin, so the reload has to come by signal.
    await flow.pooler.parts.fleet.control.reload()
    expect(flow.logged('auth_file: 2 users added, 1 changed, 1 removed')).toHaveLength(1)
    await ask(client, flow)
    await expect(flow.connect({ user: 'ada', password: 'a' })).rejects.toThrow('28P01')
    await expect(flow.connect({ user: 'bob', password: 'b' })).rejects.toThrow('28P01')
    await flow.connect({ user: 'bob', password: 'other' })
    await flow.connect({ user: 'eve', password: 'e' })
    const console = await flow.connect({ ...ROOT, password: 'r' })
    console.send(query('reload'))
    expect(await console.answer()).toContain('CommandComplete(RELOAD)')
  })
})

test('when max_prepared_statements is reduced, a server’s surplus statements are closed as new ones are prepared', async () => {
  const { flow, client, postgres } = await startPair({ settings: { max_prepared_statements: 4 } })
  flow.postgres.onRequest = (server, { name }) => {
    if (name === 'Parse') server.send(parseComplete)
    else if (name === 'Close') server.send(closeComplete)
    else if (name === 'Sync') server.send(ready())
  }
  const [server] = flow.pool().servers('idle')
  const prepare = async (name: string) => {
    client.send(parse(name, `select '${name}'`), sync)
    await client.answer()
    return server?.statements.size
  }
  for (const name of ['a', 'b', 'c', 'd']) await prepare(name)
  await reload(flow, { settings: { max_prepared_statements: 2 } })
  expect([await prepare('e'), await prepare('f'), await prepare('g')]).toEqual([3, 2, 2])
  postgres.inbox.take()
})
