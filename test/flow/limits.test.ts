/** How many servers and clients there may be per pool, database and user, and which client gets the next server. */

import { describe, expect, test } from 'vitest'
import type { FlowClient } from '../support/flow/client.ts'
import { command } from '../support/flow/commands.ts'
import { quiet } from '../support/flow/inbox.ts'
import type { FlowServer } from '../support/flow/postgres.ts'
import { complete, ready, rows } from '../support/flow/replies.ts'
import { query, startup } from '../support/flow/requests.ts'
import { type Flow, startFlow, startPair } from '../support/flow/start.ts'

/** Begins a transaction, so that the client holds the server from then on. */
async function begin(client: FlowClient, server: FlowServer, name = 'begin'): Promise<void> {
  client.send(query(name))
  await server.expect(`Query(${name})`)
  server.send(complete('BEGIN'), ready('T'))
  await client.answer()
}

async function commit(client: FlowClient, server: FlowServer): Promise<void> {
  client.send(query('commit'))
  await server.expect('Query(commit)')
  server.send(complete('COMMIT'), ready())
  await client.answer()
}

/** Connects a client that begins a transaction. Returns it with the server that was opened for it. */
async function occupy(flow: Flow, options: { user?: string; database?: string } = {}) {
  const client = await flow.connect(options)
  client.send(query('begin'))
  await quiet()
  const server = flow.postgres.open.find((each) =>
    each.inbox.unread.some((request) => request.shown === 'Query(begin)'),
  )
  if (!server) throw new Error('there was no server for it')
  await server.expect('Query(begin)')
  server.send(complete('BEGIN'), ready('T'))
  await client.answer()
  return { client, server }
}

describe('default_pool_size', () => {
  test('is how many servers a pool may have: the next client waits', async () => {
    const flow = await startFlow({ settings: { default_pool_size: 2 } })
    const [first] = [await occupy(flow), await occupy(flow)]
    const third = await flow.connect()
    third.send(query('third'))
    await flow.expectCounts({ leased: 2, waiting: 1 })
    await commit(first.client, first.server)
    await first.server.expect('Query(third)')
    first.server.send(rows('3'), ready())
    expect(await third.answer()).toContain('DataRow(3)')
    expect(flow.postgres.servers).toHaveLength(2)
  })

  test('is overridden by pool_size of the database, and that by pool_size of the user', async () => {
    const flow = await startFlow({
      settings: { default_pool_size: 3 },
      databases: ['app=host=db pool_size=1', 'other=host=db'],
      users: ['eve = pool_size=2'],
    })
    await occupy(flow)
    await occupy(flow, { user: 'eve' })
    await occupy(flow, { user: 'eve' })
    for (let number = 0; number < 3; number++) await occupy(flow, { database: 'other' })
    for (const options of [{}, { user: 'eve' }, { database: 'other' }])
      (await flow.connect(options)).send(query('one too many'))
    await quiet()
    expect(flow.counts(flow.pool('app', 'ada'))).toEqual({ leased: 1, waiting: 1 })
    expect(flow.counts(flow.pool('app', 'eve'))).toEqual({ leased: 2, waiting: 1 })
    expect(flow.counts(flow.pool('other', 'ada'))).toEqual({ leased: 3, waiting: 1 })
  })

  test('means no limit if it is 0', async () => {
    const flow = await startFlow({ settings: { default_pool_size: 0 } })
    for (let number = 0; number < 12; number++) await occupy(flow)
    expect(flow.counts()).toEqual({ leased: 12 })
  })
})

describe('a server that was closed', () => {
  test('counts towards the limit until its connection has ended, but is not shown any more', async () => {
    const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1 } })
    await begin(client, postgres)
    postgres.stopReading()
    client.vanish()
    const other = await flow.connect()
    other.send(query('other'))
    await flow.advance(1_000)
    expect(flow.counts()).toEqual({ closing: 1, waiting: 1 })
    expect(flow.pool().total).toBe(0)
    expect(await flow.pooler.parts.fleet.lists()).toMatchObject({ servers: 0 })
    expect(await flow.pooler.parts.fleet.servers()).toEqual([])
    expect(flow.postgres.servers).toHaveLength(1)
    postgres.startReading()
    const next = await flow.postgres.next()
    await next.expect('Query(other)')
    next.send(rows('x'), ready())
    await other.answer()
    expect(flow.counts()).toEqual({ idle: 1 })
  })
})

describe('the reserve pool', () => {
  const RESERVE = { settings: { default_pool_size: 1, reserve_pool_size: 1, reserve_pool_timeout: 5 } }

  test('is used when a client has waited for reserve_pool_timeout', async () => {
    const flow = await startFlow(RESERVE)
    const first = await occupy(flow)
    const second = await flow.connect()
    second.send(query('second'))
    await flow.advance(4_900)
    expect(flow.counts()).toEqual({ leased: 1, waiting: 1 })
    await flow.advance(200)
    expect(flow.logged('taking connection from reserve_pool')).toHaveLength(1)
    const reserve = flow.postgres.servers[1] as FlowServer
    await reserve.expect('Query(second)')
    reserve.send(rows('2'), ready())
    await second.answer()
    const third = await flow.connect()
    await begin(third, reserve)
    const fourth = await flow.connect()
    fourth.send(query('fourth'))
    await flow.advance(60_000)
    expect(flow.counts()).toEqual({ leased: 2, waiting: 1 })
    await fourth.expect('NoticeResponse')
    await commit(first.client, first.server)
    await first.server.expect('Query(fourth)')
    first.server.send(rows('4'), ready())
    await fourth.answer()
  })

  test('is not used while reserve_pool_timeout is 0; a SET to 0 closes its servers', async () => {
    const flow = await startFlow({ settings: { ...RESERVE.settings, reserve_pool_timeout: 0, query_wait_notify: 0 } })
    const first = await occupy(flow)
    const second = await flow.connect()
    second.send(query('second'))
    await flow.advance(60_000)
    expect(flow.counts()).toEqual({ leased: 1, waiting: 1 })
    await command(flow, 'set reserve_pool_timeout = 5')
    await flow.advance(100)
    const reserve = flow.postgres.servers[1] as FlowServer
    await reserve.expect('Query(second)')
    await command(flow, 'set reserve_pool_timeout = 0')
    reserve.send(rows('2'), ready())
    await second.answer()
    await reserve.expectClosed()
    await commit(first.client, first.server)
    expect(flow.counts()).toEqual({ idle: 1 })
  })
})

describe('min_pool_size', () => {
  test('servers are kept open once the pool has had clients', async () => {
    const { flow, client } = await startPair({ settings: { min_pool_size: 3, server_idle_timeout: 60 } })
    for (let round = 0; round < 4; round++) await flow.advance(400)
    expect(flow.counts()).toEqual({ idle: 3 })
    await flow.advance(120_000)
    expect(flow.counts()).toEqual({ idle: 3 })
    client.leave()
    await flow.advance(400)
    await flow.advance(120_000)
    expect(flow.counts()).toEqual({ idle: 3 })
  })

  test('servers are opened at once with a forced user, but not beyond pool_size', async () => {
    const flow = await startFlow({ databases: ['app=host=db user=forced min_pool_size=5 pool_size=2'] })
    for (let round = 0; round < 8; round++) await flow.advance(400)
    expect(flow.counts(flow.pool('app', 'forced'))).toEqual({ idle: 2 })
    await flow.connect({ user: 'whoever' })
    expect(flow.postgres.servers.map((server) => server.parameters.get('user'))).toEqual(['forced', 'forced'])
  })
})

describe('max_db_connections', () => {
  test('limits all users of a database together; the client that waits longest gets the next server', async () => {
    const flow = await startFlow({ settings: { max_db_connections: 2 } })
    const [ada, eve] = [await occupy(flow), await occupy(flow, { user: 'eve' })]
    const bob = await flow.connect({ user: 'ada' })
    bob.send(query('bob'))
    const max = await flow.dial()
    max.send(startup({ user: 'max', database: 'app' }))
    await quiet()
    expect(flow.postgres.open).toHaveLength(2)
    expect(flow.counts(flow.pool('app', 'max'))).toEqual({ waiting: 1 })
    await commit(ada.client, ada.server)
    await ada.server.expect('Query(bob)')
    await flow.advance(1_000)
    ada.server.send(rows('x'), ready())
    await bob.answer()
    // No client of ada's pool waits any more, so the room goes to the other pool.
    await max.inbox.through('ReadyForQuery')
    await ada.server.expectClosed()
    expect(flow.logged('evicted')).toHaveLength(1)
    await commit(eve.client, eve.server)
    expect(flow.postgres.open).toHaveLength(2)
  })

  test('closes an idle server of another user at once, the longest idle first', async () => {
    const flow = await startFlow({ settings: { max_db_connections: 2 } })
    await flow.connect({ user: 'ada' })
    await flow.advance(1_000)
    await flow.connect({ user: 'eve' })
    await flow.connect({ user: 'max' })
    expect(flow.counts(flow.pool('app', 'ada'))).toEqual({})
    expect(flow.counts(flow.pool('app', 'eve'))).toEqual({ idle: 1 })
    expect(flow.counts(flow.pool('app', 'max'))).toEqual({ idle: 1 })
  })

  test('makes a pool that is always busy give a server to another pool that waits', async () => {
    const flow = await startFlow({ settings: { max_db_connections: 1 } })
    const busy = [await flow.connect(), await flow.connect()] as const
    const server = await flow.postgres.next()
    busy[0].send(query('0'))
    await server.expect('Query(0)')
    const starving = await flow.dial()
    starving.send(startup({ user: 'eve', database: 'app' }))
    await quiet()
    // Two clients take turns, so that one of them always waits.
    let turns = 0
    while (!server.isClosed) {
      const [now, next] = turns % 2 === 0 ? busy : ([busy[1], busy[0]] as const)
      next.send(query(`${turns + 1}`))
      await flow.advance(100)
      server.send(rows('x'), ready())
      await now.answer()
      await quiet()
      expect(++turns).toBeLessThan(20)
      if (!server.isClosed) await server.expect(`Query(${turns})`)
    }
    await starving.inbox.through('ReadyForQuery')
    expect(turns).toBeGreaterThan(3)
  })
})

describe('max_user_connections', () => {
  test('limits all databases of a user together', async () => {
    const flow = await startFlow({
      settings: { max_user_connections: 2 },
      databases: ['app=host=db', 'other=host=db', 'third=host=db'],
    })
    const first = await occupy(flow)
    await occupy(flow, { database: 'other' })
    const third = await flow.dial()
    third.send(startup({ user: 'ada', database: 'third' }))
    await quiet()
    expect(flow.counts(flow.pool('third', 'ada'))).toEqual({ waiting: 1 })
    await commit(first.client, first.server)
    await third.inbox.through('ReadyForQuery')
    await first.server.expectClosed()
  })

  test('applies together with max_db_connections', async () => {
    const flow = await startFlow({
      settings: { max_user_connections: 2, max_db_connections: 3 },
      databases: ['app=host=db', 'other=host=db'],
    })
    const taken = [
      await occupy(flow),
      await occupy(flow),
      await occupy(flow, { user: 'eve' }),
      await occupy(flow, { user: 'eve', database: 'other' }),
    ]
    for (const options of [{ user: 'ada', database: 'other' }, { user: 'max' }]) {
      const client = await flow.dial()
      client.send(startup({ database: 'app', ...options }))
    }
    await quiet()
    expect(flow.postgres.open).toHaveLength(4)
    await commit(taken[0]?.client as FlowClient, taken[0]?.server as FlowServer)
    await quiet()
    for (const client of flow.clients.slice(-2)) {
      await client.inbox.through('ReadyForQuery')
      await flow.advance(1_000)
    }
  })
})

describe('a client that two limits keep waiting', () => {
  const BOTH = {
    settings: { max_user_connections: 1, max_db_connections: 1 },
    databases: ['app=host=db', 'other=host=db'],
  }

  test('causes no server to be closed for one limit while the other is still full', async () => {
    const flow = await startFlow(BOTH)
    const ada = await occupy(flow, { database: 'other' })
    await flow.connect({ user: 'eve' })
    const waiting = await flow.dial()
    waiting.send(startup({ user: 'ada', database: 'app' }))
    await flow.advance(1_000)
    expect(flow.counts(flow.pool('app', 'eve'))).toEqual({ idle: 1 })
    await commit(ada.client, ada.server)
    await waiting.inbox.through('ReadyForQuery')
    await ada.server.expectClosed()
    expect(flow.logged('evicted')).toHaveLength(2)
  })

  test('gets room under both after a while, although no server is ever idle', async () => {
    const flow = await startFlow(BOTH)
    const busy: [FlowClient, FlowServer, FlowClient][] = []
    for (const options of [{ user: 'eve' }, { database: 'other' }]) {
      const { client, server } = await occupy(flow, options)
      busy.push([client, server, await flow.connect(options)])
    }
    const starving = await flow.dial()
    starving.send(startup({ user: 'ada', database: 'app' }))
    await flow.advance(600)
    for (const [client, server, other] of busy) {
      other.send(query('begin'))
      await commit(client, server)
      await server.expectClosed()
    }
    await starving.inbox.through('ReadyForQuery')
  })
})

describe('limits on clients:', () => {
  for (const [setting, message] of [
    ['max_client_conn', 'no more connections allowed (max_client_conn)'],
    ['max_db_client_connections', 'client connections exceeded (max_db_client_connections)'],
    ['max_user_client_connections', 'client connections exceeded (max_user_client_connections)'],
  ] as const)
    test(`${setting} refuses one client too many, and accepts the next one when a client has left`, async () => {
      const flow = await startFlow({ settings: { [setting]: 2 } })
      const [first] = [await flow.connect(), await flow.connect()]
      const third = await flow.dial()
      third.send(startup({ user: 'ada', database: 'app' }))
      const [said] = (await third.inbox.through('ErrorResponse')).slice(-1)
      expect(said).toBe(`ErrorResponse(FATAL 53300 ${message})`)
      await third.expectClosed()
      first.leave()
      await quiet()
      await flow.connect()
    })

  test('clients that do not finish their login keep no other client out, however many they are', async () => {
    const flow = await startFlow({
      authFile: ['"ada" "secret"'],
      settings: { auth_type: 'plain', max_client_conn: 1 },
    })
    const [silent, unproved] = [await flow.dial(), await flow.dial()]
    unproved.send(startup({ user: 'ada', database: 'app' }))
    await unproved.expect('AuthenticationCleartextPassword')
    await Promise.all(Array.from({ length: 1_998 }, () => flow.dial()))
    const tooMany = await flow.dial()
    await tooMany.expectClosed()
    await flow.advance(3_000)
    await flow.connect({ password: 'secret' })
    await silent.expectClosed()
    await flow.dial()
    const next = await flow.dial()
    await unproved.expectClosed()
    next.send(startup({ user: 'ada', database: 'app' }))
    await next.expect('ErrorResponse(FATAL 53300 no more connections allowed (max_client_conn))')
    expect(flow.logged('2000 connections have not logged in')).toHaveLength(1)
  })

  test('a database and a user may have limits of their own', async () => {
    const flow = await startFlow({
      databases: ['app=host=db max_db_client_connections=1', 'other=host=db'],
      users: ['eve = max_user_client_connections=1'],
    })
    await flow.connect()
    await flow.connect({ user: 'eve', database: 'other' })
    await flow.connect({ user: 'ada', database: 'other' })
    for (const options of [{ user: 'ada' }, { user: 'eve', database: 'other' }]) {
      const client = await flow.dial()
      client.send(startup({ database: 'app', ...options }))
      const [said] = (await client.inbox.through('ErrorResponse')).slice(-1)
      expect(said).toContain('53300')
      await client.expectClosed()
    }
  })

  test('a refused client does not count', async () => {
    const flow = await startFlow({ settings: { max_db_client_connections: 1 } })
    await flow.connect()
    for (let number = 0; number < 5; number++) {
      const client = await flow.dial()
      client.send(startup({ user: 'ada', database: 'app' }))
      await client.inbox.through('ErrorResponse')
      await client.expectClosed()
    }
    expect(flow.pool().clients).toBe(1)
  })
})
