/** How long a client keeps its server in session mode and in statement mode. */

import { describe, expect, test } from 'vitest'
import { quiet } from '../support/flow/inbox.ts'
import { batchRows, bindComplete, complete, error, parseComplete, ready, rows } from '../support/flow/replies.ts'
import { batch, bind, parse, query, sync } from '../support/flow/requests.ts'
import { startFlow, startPair } from '../support/flow/start.ts'

describe('session mode', () => {
  const SESSION = { settings: { pool_mode: 'session', server_reset_query: 'reset me', default_pool_size: 1 } }

  async function startSession() {
    const pair = await startPair(SESSION)
    await pair.postgres.expect('Query(reset me)')
    pair.postgres.send(complete('RESET'), ready())
    await pair.flow.expectCounts({ idle: 1 })
    return pair
  }

  test('a client keeps its server from its first request until it disconnects', async () => {
    const { flow, client, postgres } = await startSession()
    for (const text of ['one', 'two']) {
      client.send(query(text))
      await postgres.expect(`Query(${text})`)
      postgres.send(rows('1'), ready())
      await client.answer()
      await quiet()
      expect(flow.counts()).toEqual({ leased: 1 })
    }
    const other = await flow.connect()
    other.send(query('three'))
    await flow.expectCounts({ leased: 1, waiting: 1 })
    client.leave()
    await postgres.expect('Query(reset me)')
    await flow.expectCounts({ cleaning: 1, waiting: 1 })
    postgres.send(complete('RESET'), ready())
    await postgres.expect('Query(three)')
    postgres.send(rows('3'), ready())
    expect(await other.answer()).toContain('DataRow(3)')
  })

  test('a reset that fails costs the server', async () => {
    const { flow, client, postgres } = await startSession()
    client.send(query('one'))
    await postgres.expect('Query(one)')
    postgres.send(rows('1'), ready())
    await client.answer()
    client.leave()
    await postgres.expect('Query(reset me)')
    postgres.send(error('42601', 'syntax error'), ready())
    await postgres.expectClosed()
    await flow.expectCounts({})
    expect(flow.logged('reset query failed')).toHaveLength(1)
  })

  test('a reset that ends in a transaction costs the server', async () => {
    const { flow, client, postgres } = await startSession()
    client.send(query('one'))
    await postgres.expect('Query(one)')
    postgres.send(rows('1'), ready())
    await client.answer()
    client.leave()
    await postgres.expect('Query(reset me)')
    postgres.send(complete('BEGIN'), ready('T'))
    await postgres.expectClosed()
    await flow.expectCounts({})
  })

  test('the client’s own statement names are passed through', async () => {
    const { client, postgres } = await startSession()
    client.send(parse('s1', 'select 1'), bind('', 's1'), sync)
    await postgres.expect('Parse(s1, select 1)', 'Bind(, s1)', 'Sync')
    postgres.send(parseComplete, bindComplete, ready())
    await client.answer()
  })

  test('a client that leaves within a transaction costs its server', async () => {
    const { flow, client, postgres } = await startSession()
    client.send(query('begin'))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    client.leave()
    await postgres.expectClosed()
    await flow.expectCounts({})
  })
})

describe('statement mode', () => {
  const STATEMENT = { settings: { pool_mode: 'statement' } }

  test('a server returns to its pool after each statement', async () => {
    const { flow, client, postgres } = await startPair(STATEMENT)
    client.send(query('one'))
    await postgres.expect('Query(one)')
    postgres.send(rows('1'), ready())
    await client.answer()
    expect(flow.counts()).toEqual({ idle: 1 })
    client.send(batch('two'))
    await postgres.expect('Parse', 'Bind', 'Execute', 'Sync')
    postgres.send(batchRows('2'))
    await client.answer()
    expect(flow.counts()).toEqual({ idle: 1 })
  })

  for (const status of ['T', 'E'] as const)
    test(`a transaction block (${status}) disconnects the client and the server`, async () => {
      const { flow, client, postgres } = await startPair(STATEMENT)
      client.send(query('begin'))
      await postgres.expect('Query')
      postgres.send(complete('BEGIN'), ready(status))
      const said = await client.inbox.through('ErrorResponse')
      expect(said).toEqual([
        'CommandComplete(BEGIN)',
        'ErrorResponse(FATAL 0A000 transaction blocks not allowed in statement pooling mode)',
      ])
      await client.expectClosed()
      await postgres.expectClosed()
      await flow.expectCounts({})
    })

  test('prepared statements follow the client', async () => {
    const { client, postgres } = await startPair(STATEMENT)
    client.send(parse('s1', 'select 1'), sync)
    await postgres.expect('Parse(#1, select 1)', 'Sync')
    postgres.send(parseComplete, ready())
    await client.answer()
    client.send(bind('', 's1'), sync)
    await postgres.expect('Bind(, #1)', 'Sync')
    postgres.send(bindComplete, ready())
    await client.answer()
  })
})

test('server_reset_query_always runs server_reset_query in transaction mode too', async () => {
  const { flow, client, postgres } = await startPair({
    settings: { server_reset_query: 'reset me', server_reset_query_always: 1 },
  })
  await postgres.expect('Query(reset me)')
  postgres.send(complete('RESET'), ready())
  client.send(query('one'))
  await postgres.expect('Query(one)')
  postgres.send(rows('1'), ready())
  await client.answer()
  await postgres.expect('Query(reset me)')
  postgres.send(complete('RESET'), ready())
  await flow.expectCounts({ idle: 1 })
})

test('server_reset_query is not run in transaction mode', async () => {
  const { client, postgres } = await startPair({ settings: { server_reset_query: 'reset me' } })
  client.send(query('one'))
  await postgres.expect('Query(one)')
  postgres.send(rows('1'), ready())
  await client.answer()
  await postgres.expectNothing()
})

test('the pool_mode of a user takes precedence over that of the database, and that over the general one', async () => {
  const flow = await startFlow({
    settings: { pool_mode: 'session' },
    databases: ['app=host=db pool_mode=statement'],
    users: ['eve = pool_mode=transaction'],
  })
  await flow.connect()
  await flow.connect({ user: 'eve' })
  expect(flow.pool('app', 'ada').settings.mode).toBe('statement')
  expect(flow.pool('app', 'eve').settings.mode).toBe('transaction')
})
