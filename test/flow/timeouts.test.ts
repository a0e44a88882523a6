/** Everything that has a timeout, with the clock moved by hand. */

import { describe, expect, test } from 'vitest'
import { quiet } from '../support/flow/inbox.ts'
import { bindComplete, complete, dataRow, parseComplete, ready, rows } from '../support/flow/replies.ts'
import { bind, cancelRequest, execute, flush, parse, query, startup, sync } from '../support/flow/requests.ts'
import { type FlowOptions, type Pair, startFlow, startPair } from '../support/flow/start.ts'

/** Starts a client that is idle in a transaction. */
async function startTransaction(options: FlowOptions): Promise<Pair> {
  const pair = await startPair(options)
  pair.client.send(query('begin'))
  await pair.postgres.expect('Query(begin)')
  pair.postgres.send(complete('BEGIN'), ready('T'))
  await pair.client.answer()
  return pair
}

async function ask({ client, postgres }: Pick<Pair, 'client' | 'postgres'>, text: string, status: 'I' | 'T' = 'I') {
  client.send(query(text))
  await postgres.expect(`Query(${text})`)
  postgres.send(rows('1'), ready(status))
  await client.answer()
}

/** Expects that the client got this error and was disconnected, and its server closed with the same reason in the log. */
async function expectEnded({ flow, client, postgres }: Pair, shown: string) {
  const said = await client.inbox.through('ErrorResponse')
  expect(said.at(-1)).toBe(`ErrorResponse(FATAL ${shown})`)
  await client.expectClosed()
  await postgres.expectClosed()
  await flow.expectCounts({})
  const ends = flow
    .logged('closing because: ')
    .map((line) => line.replace(/^.* ([CS])-0x.* because: (.*) \(age.*$/, '$1 $2'))
  const reason = shown.replace(/^\w+ /, '')
  expect(ends).toEqual([`C ${reason}`, `S ${reason}`])
}

describe('query_timeout', () => {
  const LIMITED = { settings: { query_timeout: 10 } }

  test('disconnects a client whose query runs longer, and cancels the query', async () => {
    const pair = await startPair(LIMITED)
    pair.client.send(query('select pg_sleep(60)'))
    await pair.postgres.expect('Query')
    await pair.flow.advance(9_900)
    await pair.client.expectNothing()
    await pair.flow.advance(200)
    expect((await pair.flow.postgres.nextCancel()).target).toBe(pair.postgres)
    pair.postgres.endCancelled()
    await expectEnded(pair, '57014 query timeout')
  })

  test('applies to each query of a pipeline separately', async () => {
    const pair = await startPair(LIMITED)
    const { flow, client, postgres } = pair
    client.send(query('one'), query('two'), query('three'))
    await postgres.expect('Query(one)', 'Query(two)', 'Query(three)')
    for (const name of ['one', 'two', 'three']) {
      await flow.advance(8_000)
      postgres.send(rows(name), ready())
      expect(await client.answer()).toContain(`DataRow(${name})`)
    }
  })

  test('does not include the time between queries', async () => {
    const pair = await startTransaction(LIMITED)
    await pair.flow.advance(60_000)
    await ask(pair, 'two', 'T')
    await pair.flow.advance(60_000)
    pair.client.send(query('three'))
    await pair.postgres.expect('Query(three)')
    await pair.flow.advance(5_000)
    await pair.client.expectNothing()
    pair.postgres.send(rows('3'), ready())
    await pair.client.answer()
  })

  for (const [what, requests, replies] of [
    ['a named statement', [parse('s1', 'select 1'), bind('', 's1')], [parseComplete, bindComplete]],
    ['an unnamed statement', [parse('', 'select 1'), bind('', '')], [parseComplete, bindComplete]],
    ['a Bind of an existing statement', [bind('', 's0')], [bindComplete]],
  ] as const)
    test(`does not include the time before ${what}`, async () => {
      const { flow, client, postgres } = await startPair(LIMITED)
      client.send(parse('s0', 'select 0'), sync)
      await postgres.expect('Parse', 'Sync')
      postgres.send(parseComplete, ready())
      await client.answer()
      await ask({ client, postgres }, 'begin', 'T')
      await flow.advance(60_000)
      client.send(...requests, execute(), sync)
      await quiet()
      postgres.inbox.take()
      await flow.advance(5_000)
      await client.expectNothing()
      postgres.send(...replies, complete('SELECT 0'), ready())
      expect((await client.answer()).at(-2)).toBe('CommandComplete(SELECT 0)')
    })

  test('of the user takes precedence', async () => {
    const pair = await startPair({ settings: { query_timeout: 10 }, users: ['ada = query_timeout=60'] })
    pair.client.send(query('slow'))
    await pair.postgres.expect('Query(slow)')
    await pair.flow.advance(50_000)
    await pair.client.expectNothing()
    await pair.flow.advance(11_000)
    await pair.flow.postgres.nextCancel()
    pair.postgres.endCancelled()
    await expectEnded(pair, '57014 query timeout')
  })

  test('in the middle of a row disconnects the client without an error message', async () => {
    const { flow, client, postgres } = await startPair(LIMITED)
    client.send(query('slow'))
    await postgres.expect('Query(slow)')
    postgres.send(dataRow('a long row').subarray(0, 12))
    await quiet()
    const before = client.receivedBytes
    await flow.advance(10_100)
    await client.expectClosed()
    expect(client.receivedBytes).toBe(before)
    await flow.postgres.nextCancel()
  })
})

describe('query_wait_timeout', () => {
  test('disconnects a client that has waited too long, and no other', async () => {
    const { flow, client, postgres } = await startTransaction({
      settings: { query_wait_timeout: 120, query_wait_notify: 0, default_pool_size: 1 },
    })
    const other = await flow.connect()
    other.send(query('two'))
    await flow.advance(60_000)
    const third = await flow.connect()
    third.send(query('three'))
    await flow.advance(60_100)
    await other.expect('ErrorResponse(FATAL 57014 query_wait_timeout)')
    await other.expectClosed()
    await flow.expectCounts({ leased: 1, waiting: 1 })
    await ask({ client, postgres }, 'commit')
    await postgres.expect('Query(three)')
    postgres.send(rows('3'), ready())
    await third.answer()
  })

  test('applies to logins that wait for a server too', async () => {
    const flow = await startFlow({ settings: { query_wait_timeout: 20, server_connect_timeout: 0 } })
    flow.postgres.login = () => {}
    const client = await flow.dial()
    client.send(startup({ user: 'ada', database: 'app' }))
    await flow.advance(20_100)
    expect((await client.inbox.through('ErrorResponse')).at(-1)).toBe('ErrorResponse(FATAL 57014 query_wait_timeout)')
    await client.expectClosed()
  })

  test('of the database takes precedence', async () => {
    const { flow, client, postgres } = await startTransaction({
      settings: { query_wait_timeout: 5, query_wait_notify: 0, default_pool_size: 1 },
      databases: ['app=host=db query_wait_timeout=60'],
    })
    const other = await flow.connect()
    other.send(query('two'))
    await flow.advance(50_000)
    await other.expectNothing()
    await flow.advance(11_000)
    await other.expect('ErrorResponse')
    await other.expectClosed()
    await ask({ client, postgres }, 'commit')
  })
})

describe('idle_transaction_timeout', () => {
  const LIMITED = { settings: { idle_transaction_timeout: 10 } }

  test('disconnects a client that is idle in a transaction', async () => {
    const pair = await startTransaction(LIMITED)
    await pair.flow.advance(9_900)
    await pair.client.expectNothing()
    await pair.flow.advance(200)
    await expectEnded(pair, '25P03 idle transaction timeout')
    await pair.flow.postgres.expectNoCancel()
  })

  test('counts from the last answer', async () => {
    const pair = await startTransaction(LIMITED)
    for (let round = 0; round < 3; round++) {
      await pair.flow.advance(8_000)
      await ask(pair, 'again', 'T')
    }
    await ask(pair, 'commit')
  })

  test('does not count while a query runs', async () => {
    const pair = await startTransaction(LIMITED)
    pair.client.send(query('slow'))
    await pair.postgres.expect('Query(slow)')
    await pair.flow.advance(60_000)
    await pair.client.expectNothing()
    pair.postgres.send(rows('1'), ready())
    await pair.client.answer()
  })

  test('applies to a batch that is left open, too', async () => {
    const pair = await startPair({ settings: { ...LIMITED.settings, server_check_query: '' } })
    const { flow, client, postgres } = pair
    await flow.advance(60_000)
    client.send(parse('', 'insert'), bind('', ''), execute(), flush)
    await postgres.expect('Parse', 'Bind', 'Execute', 'Flush')
    postgres.send(parseComplete, bindComplete, complete('INSERT 0 1'))
    await client.expect('ParseComplete', 'BindComplete', 'CommandComplete')
    await flow.advance(9_900)
    await client.expectNothing()
    await flow.advance(200)
    await expectEnded(pair, '25P03 idle transaction timeout')
  })

  test('counts from the answers in such a batch, however late they are', async () => {
    const pair = await startPair(LIMITED)
    const { flow, client, postgres } = pair
    client.send(parse('', 'slow'), bind('', ''), execute(), flush)
    await postgres.expect('Parse', 'Bind', 'Execute', 'Flush')
    await flow.advance(60_000)
    postgres.send(parseComplete, bindComplete, dataRow('1'), complete('SELECT 1'))
    await client.expect('ParseComplete', 'BindComplete', 'DataRow(1)', 'CommandComplete(SELECT 1)')
    await flow.advance(9_900)
    await client.expectNothing()
    await flow.advance(200)
    await expectEnded(pair, '25P03 idle transaction timeout')
  })
})

test('after the process was stopped for a while, no client times out before the data that has arrived meanwhile is read', async () => {
  const { flow, client, postgres } = await startPair({
    settings: {
      default_pool_size: 1,
      query_timeout: 1,
      client_idle_timeout: 1,
      query_wait_timeout: 1,
      client_login_timeout: 1,
    },
  })
  const [waiting, idle, late] = [await flow.connect(), await flow.connect(), await flow.dial()]
  client.send(query('one'))
  await postgres.expect('Query(one)')
  waiting.send(query('two'))
  await quiet()
  postgres.send(rows('1'), ready())
  idle.send(query('three'))
  late.send(startup({ user: 'ada', database: 'app' }))
  flow.clock.advance(5_000)
  flow.pooler.parts.sweep(true)
  expect(await client.answer()).toContain('DataRow(1)')
  await late.answer()
  for (const [next, text] of [
    [waiting, 'two'],
    [idle, 'three'],
  ] as const) {
    await postgres.expect(`Query(${text})`)
    postgres.send(rows(text), ready())
    expect(await next.answer()).toContain(`DataRow(${text})`)
  }
})

describe('transaction_timeout', () => {
  const LIMITED = { settings: { transaction_timeout: 30 } }

  test('disconnects a client whose transaction takes longer, idle or not', async () => {
    const pair = await startTransaction(LIMITED)
    await pair.flow.advance(20_000)
    await ask(pair, 'again', 'T')
    await pair.flow.advance(9_000)
    await pair.client.expectNothing()
    await pair.flow.advance(1_100)
    await expectEnded(pair, '25P04 transaction timeout')
  })

  test('starts again with each transaction', async () => {
    const pair = await startPair(LIMITED)
    for (let round = 0; round < 3; round++) {
      await ask(pair, 'begin', 'T')
      await pair.flow.advance(20_000)
      await ask(pair, 'commit')
    }
  })

  test('does not include the time between transactions in session mode', async () => {
    const pair = await startPair({
      settings: { ...LIMITED.settings, pool_mode: 'session', server_reset_query: '' },
    })
    await ask(pair, 'one')
    await pair.flow.advance(60_000)
    pair.client.send(query('two'))
    await pair.postgres.expect('Query(two)')
    await pair.flow.advance(1_000)
    await pair.client.expectNothing()
    pair.postgres.send(rows('2'), ready('T'))
    await pair.client.answer()
    await pair.flow.advance(28_000)
    await pair.client.expectNothing()
    await pair.flow.advance(1_100)
    await expectEnded(pair, '25P04 transaction timeout')
  })

  test('applies to each transaction of a pipeline separately', async () => {
    const { flow, client, postgres } = await startPair(LIMITED)
    client.send(query('one'), query('two'), query('three'))
    await postgres.expect('Query(one)', 'Query(two)', 'Query(three)')
    for (const name of ['one', 'two', 'three']) {
      await flow.advance(20_000)
      postgres.send(rows(name), ready())
      expect(await client.answer()).toContain(`DataRow(${name})`)
    }
  })
})

describe('client_idle_timeout', () => {
  const LIMITED = { settings: { client_idle_timeout: 10 } }

  test('disconnects an idle client', async () => {
    const pair = await startPair(LIMITED)
    await pair.flow.advance(9_000)
    await ask(pair, 'one')
    await pair.flow.advance(9_900)
    await pair.client.expectNothing()
    await pair.flow.advance(200)
    await pair.client.expect('ErrorResponse(FATAL 57P05 client_idle_timeout)')
    await pair.client.expectClosed()
    expect(pair.flow.counts()).toEqual({ idle: 1 })
  })

  test('does not apply to clients that wait for a server or hold one', async () => {
    const { flow, client, postgres } = await startTransaction({
      settings: { ...LIMITED.settings, default_pool_size: 1, query_wait_notify: 0 },
    })
    const other = await flow.connect()
    other.send(query('two'))
    await flow.advance(60_000)
    await client.expectNothing()
    await other.expectNothing()
    await ask({ client, postgres }, 'commit')
    await postgres.expect('Query(two)')
    postgres.send(rows('2'), ready())
    await other.answer()
  })

  test('counts from the end of a wait that was cancelled', async () => {
    const { flow, client, postgres } = await startTransaction({
      settings: { ...LIMITED.settings, default_pool_size: 1, query_wait_notify: 0 },
    })
    const other = await flow.connect()
    other.send(query('two'))
    await flow.advance(60_000)
    const canceller = await flow.dial()
    canceller.send(cancelRequest(other.key))
    await other.expect('ErrorResponse', 'ReadyForQuery(I)')
    await flow.advance(9_000)
    await other.expectNothing()
    await flow.advance(1_100)
    await other.expect('ErrorResponse(FATAL 57P05 client_idle_timeout)')
    await other.expectClosed()
    await ask({ client, postgres }, 'commit')
  })

  test('of one user does not apply to other users', async () => {
    const flow = await startFlow({ users: ['eve = client_idle_timeout=10'] })
    const [ada, eve] = [await flow.connect(), await flow.connect({ user: 'eve' })]
    await flow.advance(60_000)
    await eve.expect('ErrorResponse(FATAL 57P05 client_idle_timeout)')
    await eve.expectClosed()
    await ada.expectNothing()
  })
})

describe('client_login_timeout', () => {
  const LIMITED = { settings: { client_login_timeout: 60, server_connect_timeout: 0 } }

  test('disconnects a client that sends nothing', async () => {
    const flow = await startFlow(LIMITED)
    const client = await flow.dial()
    await flow.advance(59_900)
    await client.expectNothing()
    await flow.advance(200)
    await client.expect('ErrorResponse(FATAL 08006 client_login_timeout)')
    await client.expectClosed()
  })

  test('disconnects a client that does not send its password', async () => {
    const flow = await startFlow({
      settings: { ...LIMITED.settings, auth_type: 'plain' },
      authFile: ['"ada" "secret"'],
    })
    const client = await flow.dial()
    client.send(startup({ user: 'ada', database: 'app' }))
    await client.expect('AuthenticationCleartextPassword')
    await flow.advance(60_100)
    await client.expect('ErrorResponse(FATAL 08006 client_login_timeout)')
    await client.expectClosed()
  })

  test('disconnects a client for which there is no server, with an error that says so', async () => {
    const flow = await startFlow(LIMITED)
    flow.postgres.login = () => {}
    const client = await flow.dial()
    client.send(startup({ user: 'ada', database: 'app' }))
    await flow.advance(60_100)
    await client.expect('ErrorResponse(FATAL 08006 client_login_timeout (server down))')
    await client.expectClosed()
  })
})

describe('server_idle_timeout', () => {
  test('closes idle servers', async () => {
    const { flow, postgres } = await startPair({ settings: { server_idle_timeout: 600 } })
    await flow.advance(599_000)
    expect(flow.counts()).toEqual({ idle: 1 })
    await flow.advance(1_100)
    await postgres.expectClosed()
    await flow.expectCounts({})
    expect(flow.logged('server idle timeout')).toHaveLength(1)
  })

  test('closes no server if it is 0', async () => {
    const { flow } = await startPair({ settings: { server_idle_timeout: 0, server_lifetime: 1e9 } })
    await flow.advance(1e8)
    expect(flow.counts()).toEqual({ idle: 1 })
  })
})

describe('server_lifetime', () => {
  test('closes old servers that are idle', async () => {
    const { flow, postgres } = await startPair({ settings: { server_lifetime: 100 } })
    await flow.advance(99_000)
    expect(flow.counts()).toEqual({ idle: 1 })
    await flow.advance(1_100)
    await postgres.expectClosed()
    expect(flow.logged('server lifetime over')).toHaveLength(1)
  })

  test('closes old servers once they become free; their clients stay connected', async () => {
    const pair = await startTransaction({ settings: { server_lifetime: 100 } })
    const { flow, client, postgres } = pair
    await flow.advance(150_000)
    expect(flow.counts()).toEqual({ leased: 1 })
    await ask(pair, 'commit')
    await postgres.expectClosed()
    client.send(query('again'))
    const next = await flow.postgres.next()
    await next.expect('Query(again)')
    next.send(rows('1'), ready())
    await client.answer()
  })

  test('does not close all servers at once that were opened together', async () => {
    const flow = await startFlow({ settings: { server_lifetime: 100, default_pool_size: 4, min_pool_size: 4 } })
    await flow.connect()
    for (let round = 0; round < 8; round++) await flow.advance(10)
    expect(flow.counts()).toEqual({ idle: 4 })
    const first = flow.postgres.open
    await flow.advance(100_000)
    expect(first.filter((server) => server.isClosed)).toHaveLength(1)
    await flow.advance(24_000)
    expect(first.filter((server) => server.isClosed)).toHaveLength(1)
    await flow.advance(1_100)
    expect(first.filter((server) => server.isClosed)).toHaveLength(2)
    await flow.advance(25_000)
    await flow.advance(25_000)
    expect(first.filter((server) => server.isClosed)).toHaveLength(4)
  })

  test('closes each server after one use if it is 0', async () => {
    const flow = await startFlow({ settings: { server_lifetime: 0 } })
    const client = await flow.connect()
    await flow.expectCounts({})
    for (const name of ['one', 'two']) {
      client.send(query(name))
      await quiet()
      const server = flow.postgres.open[0]
      if (!server) throw new Error('no server was opened')
      await server.expect(`Query(${name})`)
      server.send(rows(name), ready())
      expect(await client.answer()).toContain(`DataRow(${name})`)
      await server.expectClosed()
    }
  })
})
