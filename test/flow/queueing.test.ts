/** Rule 7: one request, one lease; waiting clients are served in the order of their requests; spare servers age out. */

import { describe, expect, test } from 'vitest'
import type { FlowClient } from '../support/flow/client.ts'
import { quiet } from '../support/flow/inbox.ts'
import type { FlowServer } from '../support/flow/postgres.ts'
import { complete, emptyQuery, error, ready, rows } from '../support/flow/replies.ts'
import { query } from '../support/flow/requests.ts'
import { type Flow, startFlow, startPair } from '../support/flow/start.ts'

async function connectAll(flow: Flow, count: number): Promise<FlowClient[]> {
  const clients: FlowClient[] = []
  for (let number = 0; number < count; number++) clients.push(await flow.connect())
  return clients
}

/** Returns that many idle servers, in the order in which they were returned: the last one was used last. */
async function openServers(flow: Flow, count: number): Promise<FlowServer[]> {
  const clients = await connectAll(flow, count)
  const servers: FlowServer[] = []
  for (const client of clients) {
    client.send(query('open'))
    servers.push(await flow.postgres.next().then(ownQuery))
  }
  for (const [index, server] of servers.entries()) {
    server.send(rows('x'), ready())
    await clients[index]?.answer()
  }
  await flow.expectCounts({ idle: count })
  return servers
}

async function ownQuery(server: FlowServer): Promise<FlowServer> {
  await server.expect('Query')
  return server
}

test('waiting clients are served in the order in which they asked', async () => {
  const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1 } })
  const waiting = await connectAll(flow, 5)
  client.send(query('first'))
  await postgres.expect('Query(first)')
  for (const [index, each] of waiting.entries()) {
    each.send(query(`${index}`))
    await quiet(1)
  }
  postgres.send(rows('x'), ready())
  await client.answer()
  for (const [index, each] of waiting.entries()) {
    await postgres.expect(`Query(${index})`)
    await postgres.expectNothing()
    postgres.send(rows(`${index}`), ready())
    expect(await each.answer()).toContain(`DataRow(${index})`)
  }
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('a client that asks again waits behind the clients that already wait', async () => {
  const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1 } })
  const [other] = await connectAll(flow, 1)
  client.send(query('mine 1'))
  await postgres.expect('Query(mine 1)')
  other?.send(query('other'))
  await flow.expectCounts({ leased: 1, waiting: 1 })
  postgres.send(rows('x'), ready())
  await client.answer()
  client.send(query('mine 2'))
  await postgres.expect('Query(other)')
  postgres.send(rows('x'), ready())
  await other?.answer()
  await postgres.expect('Query(mine 2)')
  postgres.send(rows('x'), ready())
  await client.answer()
})

test('several requests that a client sends while it waits take a single lease', async () => {
  const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1 } })
  const [other, third] = (await connectAll(flow, 2)) as [FlowClient, FlowClient]
  client.send(query('one'))
  await postgres.expect('Query(one)')
  other.send(query('two'), query('three'))
  third.send(query('four'))
  await flow.expectCounts({ leased: 1, waiting: 2 })
  postgres.send(rows('x'), ready())
  await client.answer()
  await postgres.expect('Query(two)', 'Query(three)')
  postgres.send(rows('2'), ready(), rows('3'), ready())
  expect(await other.answer()).toContain('DataRow(2)')
  expect(await other.answer()).toContain('DataRow(3)')
  await postgres.expect('Query(four)')
  postgres.send(rows('4'), ready())
  expect(await third.answer()).toContain('DataRow(4)')
})

test('the most recently used idle server is taken first, so that the others age out', async () => {
  const flow = await startFlow()
  const servers = await openServers(flow, 3)
  const client = flow.clients[0] as FlowClient
  for (let round = 0; round < 3; round++) {
    client.send(query('again'))
    await servers[2]?.expect('Query(again)')
    servers[2]?.send(rows('x'), ready())
    await client.answer()
  }
})

test('with server_round_robin, idle servers take turns', async () => {
  const flow = await startFlow({ settings: { server_round_robin: 1 } })
  const servers = await openServers(flow, 3)
  const client = flow.clients[0] as FlowClient
  for (const server of [...servers, ...servers]) {
    client.send(query('again'))
    await server.expect('Query(again)')
    server.send(rows('x'), ready())
    await client.answer()
  }
})

describe('server_check_query', () => {
  const CHECKED = { settings: { server_check_query: 'are you there', server_check_delay: 30 } }

  test('is run before a server is used that was idle for server_check_delay', async () => {
    const { flow, client, postgres } = await startPair(CHECKED)
    await flow.advance(29_000)
    client.send(query('one'))
    await postgres.expect('Query(one)')
    postgres.send(rows('x'), ready())
    await client.answer()
    await flow.advance(30_100)
    client.send(query('two'))
    await postgres.expect('Query(are you there)')
    await flow.expectCounts({ checking: 1, waiting: 1 })
    postgres.send(rows('yes'), ready())
    await postgres.expect('Query(two)')
    postgres.send(rows('x'), ready())
    await client.answer()
  })

  test('is an empty query if it is <empty>', async () => {
    const { flow, client, postgres } = await startPair()
    await flow.advance(30_100)
    client.send(query('two'))
    await postgres.expect('Query()')
    postgres.send(emptyQuery, ready())
    await postgres.expect('Query(two)')
    postgres.send(rows('x'), ready())
    await client.answer()
  })

  test('is not run if it is set to nothing', async () => {
    const { flow, client, postgres } = await startPair({ settings: { server_check_query: '' } })
    await flow.advance(100_000)
    client.send(query('two'))
    await postgres.expect('Query(two)')
    postgres.send(rows('x'), ready())
    await client.answer()
  })

  test('closes a server on which it fails, and the client gets another one', async () => {
    const { flow, client, postgres } = await startPair(CHECKED)
    await flow.advance(30_100)
    client.send(query('two'))
    await postgres.expect('Query(are you there)')
    postgres.send(error('XX000', 'no'), ready())
    await postgres.expectClosed()
    const next = await flow.postgres.next()
    await next.expect('Query(two)')
    next.send(rows('x'), ready())
    await client.answer()
    expect(flow.logged('test query failed')).toHaveLength(1)
  })

  test('closes a server that does not answer it within server_connect_timeout', async () => {
    const { flow, client, postgres } = await startPair(CHECKED)
    await flow.advance(30_100)
    client.send(query('two'))
    await postgres.expect('Query(are you there)')
    await flow.advance(15_100)
    await postgres.expectClosed()
    const next = await flow.postgres.next()
    await next.expect('Query(two)')
    next.send(rows('x'), ready())
    await client.answer()
  })

  test('when one server does not answer it, closes all servers of the host that have been silent since', async () => {
    const flow = await startFlow({ settings: { ...CHECKED.settings, default_pool_size: 4 } })
    const servers = await openServers(flow, 4)
    const [answering, silent] = servers.slice(2) as [FlowServer, FlowServer]
    const [one, two] = (await connectAll(flow, 2)) as [FlowClient, FlowClient]
    await flow.advance(30_100)
    one.send(query('one'))
    await silent.expect('Query(are you there)')
    two.send(query('two'))
    await answering.expect('Query(are you there)')
    answering.send(rows('yes'), ready())
    await answering.expect('Query(one)')
    answering.send(rows('1'), ready())
    await one.answer()
    await answering.expect('Query(two)')
    answering.send(rows('2'), ready())
    await two.answer()
    await flow.expectCounts({ idle: 3, checking: 1 })
    await flow.advance(15_100)
    for (const server of servers) if (server !== answering) await server.expectClosed()
    await flow.expectCounts({ idle: 1 })
    expect(flow.logged('another server at the same address does not answer (server_connect_timeout)')).toHaveLength(2)
  })

  test('when a server does not answer it, lets the waiting client use a new one', async () => {
    const flow = await startFlow({ settings: { ...CHECKED.settings, default_pool_size: 4 } })
    await openServers(flow, 4)
    const client = await flow.connect()
    await flow.advance(30_100)
    client.send(query('one'))
    await flow.advance(15_100)
    const next = await flow.postgres.next()
    await next.expect('Query(one)')
    next.send(rows('1'), ready())
    expect(await client.inbox.through('ReadyForQuery')).toContain('DataRow(1)')
    await flow.expectCounts({ idle: 1 })
  })

  test('after a server connection has broken, is run once on each idle server before that is used', async () => {
    const flow = await startFlow({ settings: { ...CHECKED.settings, default_pool_size: 3 } })
    const servers = await openServers(flow, 3)
    const [beside, broken] = servers.slice(1) as [FlowServer, FlowServer]
    const [one, two] = (await connectAll(flow, 2)) as [FlowClient, FlowClient]
    one.send(query('one'))
    await broken.expect('Query(one)')
    broken.reset()
    await one.expect('ErrorResponse(FATAL 08006 server conn crashed?)')
    await one.expectClosed()
    two.send(query('two'))
    await beside.expect('Query(are you there)')
    beside.reset()
    await servers[0]?.expect('Query(are you there)')
    servers[0]?.send(rows('yes'), ready())
    for (const answer of ['two', 'three']) {
      if (answer === 'three') two.send(query('three'))
      await servers[0]?.expect(`Query(${answer})`)
      servers[0]?.send(rows(answer), ready())
      expect(await two.answer()).toContain(`DataRow(${answer})`)
    }
  })

  test('is not run on other servers if PostgreSQL has said why it ended the connection', async () => {
    const flow = await startFlow({ settings: { ...CHECKED.settings, default_pool_size: 2 } })
    const [beside, ended] = (await openServers(flow, 2)) as [FlowServer, FlowServer]
    ended.send(error('57P01', 'terminating connection due to administrator command', 'FATAL'))
    ended.close()
    await flow.expectCounts({ idle: 1 })
    const client = await flow.connect()
    client.send(query('one'))
    await beside.expect('Query(one)')
    beside.send(rows('1'), ready())
    await client.answer()
  })

  test('running on one server does not keep other clients from using other idle servers', async () => {
    const flow = await startFlow({ settings: { ...CHECKED.settings, default_pool_size: 2 } })
    const servers = (await openServers(flow, 2)) as [FlowServer, FlowServer]
    await flow.advance(30_100)
    const [first, second] = (await connectAll(flow, 2)) as [FlowClient, FlowClient]
    first.send(query('one'))
    second.send(query('two'))
    await servers[1].expect('Query(are you there)')
    servers[1].send(rows('yes'), ready())
    await servers[1].expect('Query(one)')
    // The second client is served although the first one does not give its server back.
    await servers[0].expect('Query(are you there)')
    servers[0].send(rows('yes'), ready())
    await servers[0].expect('Query(two)')
    servers[0].send(rows('2'), ready())
    expect(await second.answer()).toContain('DataRow(2)')
    servers[1].send(rows('1'), ready())
    await first.answer()
  })
})

describe('query_wait_notify', () => {
  test('sends a waiting client one notice', async () => {
    const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1, query_wait_notify: 5 } })
    client.send(query('one'))
    await postgres.expect('Query(one)')
    const other = await flow.connect()
    other.send(query('two'))
    await flow.expectCounts({ leased: 1, waiting: 1 })
    await flow.advance(4_900)
    await other.expectNothing()
    await flow.advance(200)
    await other.expect('NoticeResponse(No server connection available in postgres backend, client being queued)')
    await flow.advance(20_000)
    await other.expectNothing()
    postgres.send(rows('1'), ready())
    await client.answer()
    await postgres.expect('Query(two)')
    postgres.send(rows('2'), ready())
    await other.answer()
  })

  test('sends no notice if it is 0', async () => {
    const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1, query_wait_notify: 0 } })
    client.send(query('one'))
    await postgres.expect('Query(one)')
    const other = await flow.connect()
    other.send(query('two'))
    await flow.advance(60_000)
    await other.expectNothing()
    postgres.send(rows('1'), ready())
    await client.answer()
    await postgres.expect('Query(two)')
    postgres.send(complete('SELECT 0'), ready())
    await other.answer()
  })
})
