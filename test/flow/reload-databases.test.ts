/** Databases are added, removed and moved while clients use them. */

import { describe, expect, test } from 'vitest'
import { ask, busy, reload, run } from '../support/flow/commands.ts'
import { DEFAULTS, FlowPostgres } from '../support/flow/postgres.ts'
import { bindComplete, complete, error, parseComplete, ready, rows } from '../support/flow/replies.ts'
import { bind, execute, parse, query, startup, sync } from '../support/flow/requests.ts'
import { type Flow, startFlow, startPair } from '../support/flow/start.ts'

describe('a database', () => {
  const APP = 'app=host=db'

  async function startOther(flow: Flow): Promise<FlowPostgres> {
    const other = new FlowPostgres(flow.transport, { host: 'other', port: 5432 })
    await other.listen()
    return other
  }

  test('that is moved gets new servers, for each client at the end of its transaction', async () => {
    const { flow, client, postgres } = await startPair()
    const other = await startOther(flow)
    const idle = await flow.connect()
    const { server, finish } = await run(client, flow)
    await reload(flow, { databases: ['app=host=other dbname=moved'] })
    expect(flow.logged('database "app": host: db → other')).toHaveLength(1)
    await flow.expectCounts({ leased: 1 })
    idle.send(query('select 2'))
    const moved = await other.next()
    expect(moved.parameters.get('database')).toBe('moved')
    await moved.expect('Query(select 2)')
    moved.send(rows('2'), ready())
    expect(await idle.answer()).toContain('DataRow(2)')
    await finish()
    expect(server).toBe(postgres)
    await server.expect('Terminate')
    client.send(query('select 3'))
    await moved.expect('Query(select 3)')
    moved.send(rows('3'), ready())
    await client.answer()
    await flow.expectCounts({ idle: 1 })
  })

  test('that is moved sends new clients the parameters of its new server', async () => {
    const { flow, client } = await startPair()
    const other = await startOther(flow)
    other.login = (server) => server.welcome({ ...DEFAULTS, server_version: '18.1', TimeZone: 'Asia/Tokyo' })
    await reload(flow, { databases: ['app=host=other'] })
    const newcomer = await flow.connect()
    expect(newcomer.parameters.get('server_version')).toBe('18.1')
    expect(newcomer.parameters.get('TimeZone')).toBe('Asia/Tokyo')
    // The earlier client has received another value, and keeps it.
    client.send(query('select 1'))
    const moved = await other.next()
    await moved.expect('Query')
    expect(client.parameters.get('TimeZone')).toBe('Etc/UTC')
    moved.send(rows('Etc/UTC'), ready())
    await moved.expect('Query(select 1)')
    moved.send(rows('1'), ready())
    await client.answer()
  })

  test('that is moved has its clients’ statements prepared anew', async () => {
    const { flow, client, postgres } = await startPair()
    const other = await startOther(flow)
    client.send(parse('s', 'select 1'), bind('', 's'), execute(), sync)
    for (const name of ['Parse', 'Bind', 'Execute', 'Sync']) await postgres.expect(name)
    postgres.send(parseComplete, bindComplete, complete('SELECT 1'), ready())
    await client.answer()
    await reload(flow, { databases: ['app=host=other'] })
    client.send(bind('', 's'), execute(), sync)
    const moved = await other.next()
    for (const name of ['Parse', 'Bind', 'Execute', 'Sync']) await moved.expect(name)
    moved.send(parseComplete, bindComplete, complete('SELECT 1'), ready())
    expect(await client.answer()).toContain('CommandComplete(SELECT 1)')
  })

  test('whose servers are being opened, checked or prepared is moved at once, and waiting clients get new servers', async () => {
    const { flow } = await startPair({ settings: { server_check_delay: 0, server_check_query: 'select 7' } })
    const other = await startOther(flow)
    flow.postgres.login = () => {}
    const [one, two] = [await flow.connect(), await flow.connect()]
    await flow.advance(1_000)
    one.send(query('one'))
    two.send(query('two'))
    await flow.expectCounts({ login: 1, checking: 1, waiting: 2 })
    await reload(flow, { databases: ['app=host=other'] })
    for (const client of [one, two]) {
      const moved = await other.next()
      await moved.expect('Query')
      moved.send(rows('1'), ready())
      await client.answer()
    }
  })

  test('that is moved before its first server was opened is connected to at its new host only', async () => {
    const flow = await startFlow({ databases: ['app=host=nowhere'] })
    const other = await startOther(flow)
    await expect(flow.connect()).rejects.toThrow('connect to nowhere:5432 failed')
    await reload(flow, { databases: ['app=host=other'] })
    await flow.connect()
    await other.next()
  })

  test('whose limits and timeouts alone change keeps its servers', async () => {
    const { flow, client, postgres } = await startPair()
    await reload(flow, { databases: [`${APP} pool_size=7 query_wait_timeout=9`] })
    expect(flow.pool().settings).toMatchObject({ size: 7, waitTimeoutMs: 9_000 })
    expect(await ask(client, flow)).toBe(postgres)
  })

  test('that is added can be used, and so can any after * is added', async () => {
    const { flow } = await startPair()
    await expect(flow.connect({ database: 'new' })).rejects.toThrow('3D000 no such database: new')
    await reload(flow, { databases: [APP, 'new=host=db'] })
    await flow.connect({ database: 'new' })
    await expect(flow.connect({ database: 'any' })).rejects.toThrow('3D000 no such database: any')
    await reload(flow, { databases: [APP, 'new=host=db', '*=host=db'] })
    await flow.connect({ database: 'any' })
  })

  test('that is removed disconnects its clients, whatever they do, and refuses new ones', async () => {
    const databases = [APP, 'old=host=db']
    const flow = await startFlow({ databases, settings: { default_pool_size: 2 } })
    const old = { database: 'old' }
    const idle = await flow.connect(old)
    const running = await flow.connect(old)
    const inTransaction = await flow.connect(old)
    const waiting = await flow.connect(old)
    const stays = await flow.connect()
    running.send(query('select pg_sleep(60)'))
    const slow = await flow.postgres.next()
    await slow.expect('Query')
    inTransaction.send(query('begin'))
    const server = await busy(flow, 'Query(begin)')
    server.send(complete('BEGIN'), ready('T'))
    await inTransaction.answer()
    waiting.send(query('select 4'))
    await flow.expectCounts({ leased: 2, waiting: 1 }, flow.pool('old'))
    const pool = flow.pool('old')
    await reload(flow, { databases: [APP] })
    for (const client of [idle, running, inTransaction, waiting]) {
      expect((await client.inbox.next()).shown).toBe('ErrorResponse(FATAL 57P01 database removed)')
      await client.expectClosed()
    }
    expect((await flow.postgres.nextCancel()).target).toBe(slow)
    slow.send(error('57014', 'canceling statement due to user request'), ready())
    await flow.expectCounts({}, pool)
    expect(pool.state).toBe('gone')
    await expect(flow.connect(old)).rejects.toThrow('3D000 no such database: old')
    await ask(stays, flow)
    await flow.advance(100)
    expect([...flow.pooler.parts.pools].map(({ database }) => database)).toEqual(['app'])
    await reload(flow, { databases })
    await ask(await flow.connect(old), flow)
  })

  test('that is removed ends even if * matches its name: clients that come back use the entry *, and no longer the forced user', async () => {
    const own = 'old=host=db user=owner password=secret'
    const flow = await startFlow({ databases: [own, '*=host=db'] })
    const client = await flow.connect({ database: 'old' })
    await ask(client, flow)
    await reload(flow, { databases: ['*=host=db'] })
    expect((await client.inbox.next()).shown).toBe('ErrorResponse(FATAL 57P01 database removed)')
    await client.expectClosed()
    const again = await flow.connect({ database: 'old' })
    expect((await ask(again, flow)).parameters.get('user')).toBe('ada')
    // The database now comes from *, so a reload that has never had a line for it changes nothing.
    await reload(flow, { databases: ['*=host=db'] })
    await ask(again, flow)
  })

  test('that is removed while a client logs in refuses that client', async () => {
    const flow = await startFlow({ databases: [APP, 'old=host=db'] })
    flow.postgres.login = () => {}
    const client = await flow.dial()
    client.send(startup({ user: 'ada', database: 'old' }))
    await flow.postgres.next()
    await reload(flow, { databases: [APP] })
    expect((await client.inbox.next()).shown).toBe('ErrorResponse(FATAL 57P01 database removed)')
    await client.expectClosed()
  })
})

describe('a forced user', () => {
  const as = (user: string, more = '') => [`app=host=db user=${user} ${more}`]

  test('that changes serves all clients from one pool, present clients after their transaction', async () => {
    const flow = await startFlow({ databases: as('one', 'password=1'), settings: { default_pool_size: 1 } })
    const [ada, bob] = [await flow.connect(), await flow.connect({ user: 'bob' })]
    const { server, finish } = await run(ada, flow)
    expect(server.parameters.get('user')).toBe('one')
    await reload(flow, { databases: as('two', 'password=2') })
    const eve = await flow.connect({ user: 'eve' })
    const second = await run(bob, flow)
    expect(second.server.parameters.get('user')).toBe('two')
    eve.send(query('three'))
    // default_pool_size is the limit of each pair of database and user: the old user's server still counts for the old pair.
    const pool = flow.pool('app', 'two')
    await flow.expectCounts({ leased: 2, waiting: 1 }, pool)
    expect([pool.subject, pool.clients, [...flow.pooler.parts.pools].length]).toEqual(['app/two', 3, 1])
    await finish()
    await server.expect('Terminate')
    await flow.expectCounts({ leased: 1, waiting: 1 }, pool)
    await second.finish()
    await second.server.expect('Query(three)')
    second.server.send(rows('3'), ready())
    await eve.answer()
    expect(await ask(ada, flow)).toBe(second.server)
    await flow.expectCounts({ idle: 1 }, pool)
  })

  test('that changes counts towards its own max_user_connections', async () => {
    const flow = await startFlow({
      databases: [...as('one'), 'other=host=db user=one'],
      users: ['one = max_user_connections=1', 'two = max_user_connections=1'],
    })
    const [ada, bob] = [await flow.connect(), await flow.connect({ database: 'other' })]
    const { finish } = await run(ada, flow)
    bob.send(query('waits'))
    await flow.expectCounts({ waiting: 1 }, flow.pool('other', 'one'))
    await reload(flow, { databases: [...as('two'), 'other=host=db user=one'] })
    // The server that ada holds still counts for the old user, so bob has to wait.
    await flow.expectCounts({ waiting: 1 }, flow.pool('other', 'one'))
    const newcomer = await flow.connect()
    const second = await run(newcomer, flow)
    expect(second.server.parameters.get('user')).toBe('two')
    await finish()
    const server = await busy(flow, 'Query(waits)')
    server.send(rows('1'), ready())
    await bob.answer()
    await second.finish()
  })

  test('may change to a user that has a pool already, whose clients keep theirs', async () => {
    const flow = await startFlow({ databases: ['app=host=db'] })
    const two = await flow.connect({ user: 'two' })
    await ask(two, flow)
    await reload(flow, { databases: as('one') })
    const ada = await flow.connect()
    await ask(ada, flow)
    await reload(flow, { databases: as('two') })
    expect((await ask(ada, flow)).parameters.get('user')).toBe('two')
    expect((await ask(two, flow)).parameters.get('user')).toBe('two')
    expect((await ask(await flow.connect({ user: 'eve' }), flow)).parameters.get('user')).toBe('two')
    expect([...flow.pooler.parts.pools].map(({ subject }) => subject)).toEqual(['app/two', 'app/two'])
  })

  test('that is added applies to new clients; present clients keep servers of their own user', async () => {
    const { flow, client } = await startPair({ databases: ['app=host=db'] })
    await reload(flow, { databases: as('one') })
    expect((await ask(client, flow)).parameters.get('user')).toBe('ada')
    expect((await ask(await flow.connect({ user: 'bob' }), flow)).parameters.get('user')).toBe('one')
  })

  test('cannot be removed, as in PgBouncer, and no reload renews the servers for it', async () => {
    const flow = await startFlow({ databases: as('one') })
    const ada = await flow.connect()
    const before = await ask(ada, flow)
    for (let times = 0; times < 2; times++) {
      await reload(flow, { databases: ['app=host=db'] })
      expect(await ask(ada, flow)).toBe(before)
    }
    expect(flow.logged('losing forced user not supported, keeping old setting')).toHaveLength(2)
    await reload(flow, { databases: ['app=host=db dbname=moved'] })
    expect((await ask(ada, flow)).parameters.get('user')).toBe('one')
  })
})
