/** Rule 5, and PgBouncer's table "Client disconnects": what happens to the server when its client disconnects. */

import { describe, expect, test } from 'vitest'
import type { FlowClient } from '../support/flow/client.ts'
import { quiet } from '../support/flow/inbox.ts'
import {
  bindComplete,
  complete,
  copyIn,
  dataRow,
  error,
  parseComplete,
  ready,
  rowDescription,
  rows,
} from '../support/flow/replies.ts'
import { batch, bind, execute, flush, parse, query, sync } from '../support/flow/requests.ts'
import { type Flow, startFlow, startPair } from '../support/flow/start.ts'

const WAYS: readonly [how: string, goes: (client: FlowClient) => void][] = [
  ['sends Terminate', (client) => client.leave()],
  ['hangs up', (client) => client.hangUp()],
  ['breaks the connection', (client) => client.reset()],
  ['vanishes', (client) => client.vanish()],
]

describe.each(WAYS)('a client that %s', (_, goes) => {
  test('with a query in progress costs a server, not a wrong answer, and its query is cancelled', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(query('select pg_sleep(60)'))
    await postgres.expect('Query')
    goes(client)
    const cancel = await flow.postgres.nextCancel()
    expect(cancel.target).toBe(postgres)
    postgres.endCancelled()
    await postgres.expectClosed()
    await flow.expectCounts({})
    expect(flow.logged('client disconnected with query in progress')).toHaveLength(1)
  })

  test('with a batch in progress costs a server', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(batch('select pg_sleep(60)'))
    await postgres.expect('Parse', 'Bind', 'Execute', 'Sync')
    postgres.send(parseComplete, bindComplete)
    await client.expect('ParseComplete', 'BindComplete')
    goes(client)
    expect((await flow.postgres.nextCancel()).target).toBe(postgres)
    postgres.endCancelled()
    await postgres.expectClosed()
    await flow.expectCounts({})
  })

  test('in an open transaction costs a server, and no cancel is sent since nothing runs', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(query('begin'))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    goes(client)
    await postgres.expectClosed()
    await flow.postgres.expectNoCancel()
    await flow.expectCounts({})
    expect(flow.logged('client disconnect while server was not ready')).toHaveLength(1)
  })

  test('in a failed transaction costs a server', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(query('begin; selct'))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), ready('E'))
    await client.answer()
    goes(client)
    await postgres.expectClosed()
    await flow.postgres.expectNoCancel()
  })

  test('in a batch that was answered but not synced costs a server', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(parse('', 'insert'), bind('', ''), execute(), flush)
    await postgres.expect('Parse', 'Bind', 'Execute', 'Flush')
    postgres.send(parseComplete, bindComplete, complete('INSERT 0 1'))
    await client.expect('ParseComplete', 'BindComplete', 'CommandComplete')
    goes(client)
    await postgres.expectClosed()
    await flow.expectCounts({})
  })

  test('in the middle of a request costs a server', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(query(`select ${'x'.repeat(200)}`).subarray(0, 100))
    await flow.expectCounts({ leased: 1 })
    goes(client)
    await postgres.expectClosed()
    await flow.expectCounts({})
  })

  test('while it waits leaves the queue, and the next client is served', async () => {
    const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1 } })
    client.send(query('select 1'))
    await postgres.expect('Query(select 1)')
    const [second, third] = [await flow.connect(), await flow.connect()]
    second.send(query('select 2'))
    third.send(query('select 3'))
    await flow.expectCounts({ leased: 1, waiting: 2 })
    // A Terminate after a request is read only once the request has been answered; the end of the connection is noticed at once.
    goes(second)
    await quiet()
    if (second.inbox.all.length > 0) second.vanish()
    second.vanish()
    await flow.expectCounts({ leased: 1, waiting: 1 })
    postgres.send(rows('1'), ready())
    await client.answer()
    await postgres.expect('Query(select 3)')
    postgres.send(rows('3'), ready())
    expect(await third.answer()).toContain('DataRow(3)')
  })

  test('while it is idle costs no server', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(query('select 1'))
    await postgres.expect('Query')
    postgres.send(rows('1'), ready())
    await client.answer()
    goes(client)
    await quiet()
    expect(flow.counts()).toEqual({ idle: 1 })
    expect(postgres.isClosed).toBe(false)
    expect(flow.pooler.parts.sessions.count).toBe(0)
  })

  test('while it is idle in session mode returns its server after the reset', async () => {
    const { flow, client, postgres } = await startPair({ settings: { pool_mode: 'session' } })
    await postgres.expect('Query(DISCARD ALL)')
    postgres.send(complete('DISCARD ALL'), ready())
    client.send(query('select 1'))
    await postgres.expect('Query(select 1)')
    postgres.send(rows('1'), ready())
    await client.answer()
    expect(flow.counts()).toEqual({ leased: 1 })
    goes(client)
    await postgres.expect('Query(DISCARD ALL)')
    expect(flow.counts()).toEqual({ cleaning: 1 })
    postgres.send(complete('DISCARD ALL'), ready())
    await flow.expectCounts({ idle: 1 })
  })

  test('without having read its reply never leaves part of it to another client', async () => {
    const { flow, client, postgres } = await startPair({ windowBytes: 256, settings: { default_pool_size: 1 } })
    client.stopReading()
    client.send(query('select 1'))
    await postgres.expect('Query')
    postgres.send(rows('x'.repeat(1_000)), ready())
    await quiet()
    expect(flow.counts()).toEqual({ leased: 1 })
    goes(client)
    await quiet()
    const other = await flow.connect()
    other.send(query('select 2'))
    await quiet()
    const server = postgres.isClosed ? await flow.postgres.next() : postgres
    await server.expect('Query(select 2)')
    server.send(rows('2'), ready())
    expect(await other.answer()).toEqual([
      'RowDescription(value)',
      'DataRow(2)',
      'CommandComplete(SELECT 1)',
      'ReadyForQuery(I)',
    ])
    if (client.isClosed) return
    client.vanish()
  })
})

test.each(WAYS)(
  'a complete reply to a client that does not read and %s does not affect other clients',
  async (_, goes) => {
    const { flow, client, postgres } = await startPair({ windowBytes: 256, settings: { default_pool_size: 1 } })
    client.stopReading()
    for (const round of ['1', '2']) {
      client.send(query(`select ${round}`))
      await postgres.expect(`Query(select ${round})`)
      postgres.send(rows(round.repeat(100)), ready())
      await quiet()
    }
    expect(flow.counts()).toEqual({ leased: 1 })
    goes(client)
    await quiet()
    client.vanish()
    await quiet()
    const other = await flow.connect()
    other.send(query('select 3'))
    await quiet()
    const server = postgres.isClosed ? await flow.postgres.next() : postgres
    await server.expect('Query(select 3)')
    server.send(rows('3'), ready())
    expect(await other.answer()).toContain('DataRow(3)')
  },
)

test('the rest of a row whose client has vanished reaches no other client', async () => {
  const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1 } })
  client.send(query('select 1'))
  await postgres.expect('Query')
  const row = dataRow('secret of the first')
  postgres.send(rowDescription('value'), row.subarray(0, 12))
  await client.expect('RowDescription')
  client.vanish()
  const other = await flow.connect()
  other.send(query('select 2'))
  await quiet()
  postgres.send(row.subarray(12), complete('SELECT 1'), ready())
  const server = await flow.postgres.next()
  await server.expect('Query(select 2)')
  server.send(rows('2'), ready())
  expect(await other.answer()).toContain('DataRow(2)')
  await flow.postgres.nextCancel()
})

test('the answer to a query that is followed by Terminate reaches no client', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(query('select 1'), sync, Buffer.from([0x58, 0, 0, 0, 4]))
  await postgres.expect('Query(select 1)', 'Sync')
  await flow.postgres.nextCancel()
  postgres.endCancelled()
  postgres.send(ready())
  await postgres.expectClosed()
  await client.expectClosed()
})

describe('the query of a client that has disconnected is cancelled:', () => {
  async function startAbandoned(...requests: readonly Buffer[]) {
    const { flow, client, postgres } = await startPair()
    client.send(...requests)
    await quiet()
    postgres.inbox.take()
    client.vanish()
    await flow.postgres.nextCancel()
    return { flow, postgres }
  }

  test('its server is closed when the query has ended, and not before', async () => {
    const { flow, postgres } = await startAbandoned(query('select pg_sleep(60)'))
    await flow.advance(900)
    expect(flow.counts()).toEqual({ leased: 1 })
    postgres.endCancelled()
    await postgres.expectClosed()
    await flow.expectCounts({})
    await flow.postgres.expectNoCancel()
  })

  test('a cancel request that arrived before the query, and so had no effect, is repeated', async () => {
    const { flow, postgres } = await startAbandoned(query('select pg_sleep(60)'))
    await flow.postgres.expectNoCancel()
    for (let round = 0; round < 3; round++) {
      await flow.advance(900)
      await flow.postgres.expectNoCancel()
      await flow.advance(100)
      expect((await flow.postgres.nextCancel()).target).toBe(postgres)
    }
    postgres.endCancelled()
    await postgres.expectClosed()
  })

  test('a cancel request that could not be sent is repeated', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(query('select pg_sleep(60)'))
    await postgres.expect('Query')
    flow.postgres.refuse()
    client.vanish()
    await quiet()
    await flow.postgres.listen()
    await flow.postgres.expectNoCancel()
    await flow.advance(1_000)
    expect((await flow.postgres.nextCancel()).target).toBe(postgres)
    postgres.endCancelled()
    await postgres.expectClosed()
  })

  test('the cancel request is repeated for each query of a pipeline', async () => {
    const { flow, postgres } = await startAbandoned(query('one'), batch('two'), query('three'))
    postgres.endCancelled()
    await flow.advance(1_000)
    await flow.postgres.nextCancel()
    postgres.send(error('57014', 'canceling statement due to user request'), ready())
    await flow.advance(1_000)
    await flow.postgres.nextCancel()
    expect(flow.counts()).toEqual({ leased: 1 })
    postgres.send(rows('3'), ready())
    await postgres.expectClosed()
  })

  test('a query that is answered after all is not cancelled again', async () => {
    const { flow, postgres } = await startAbandoned(query('select 1'))
    const row = dataRow('x'.repeat(1_000))
    postgres.send(rowDescription('value'), row.subarray(0, 700))
    await quiet()
    postgres.send(row.subarray(700), complete('SELECT 1'), ready())
    await postgres.expectClosed()
    await flow.advance(2_000)
    await flow.postgres.expectNoCancel()
  })

  test('a batch without its Sync gets a Flush, so that the server answers without a commit', async () => {
    const { flow, postgres } = await startAbandoned(parse('', 'insert'), bind('', ''), execute())
    await postgres.expect('Flush')
    postgres.send(parseComplete, bindComplete, complete('INSERT 0 1'))
    await postgres.expectClosed()
    await flow.expectCounts({})
  })

  test('the rest of an incomplete request is not waited for', async () => {
    const { postgres } = await startAbandoned(query('one'), query(`two ${'x'.repeat(200)}`).subarray(0, 100))
    postgres.endCancelled()
    await postgres.expectClosed()
  })

  test.each([
    ['query', query('one'), query(`two ${'x'.repeat(20_000)}`)],
    ['batch', parse('', 'one'), bind('', '', 'x'.repeat(20_000))],
  ])(
    'nothing follows the first part of a request behind a %s: PostgreSQL would take it for the rest',
    async (_, first, second) => {
      const { postgres } = await startAbandoned(first, second.subarray(0, 10_000))
      postgres.endCancelled()
      await postgres.expectClosed()
      expect(postgres.pendingBytes).toBe(10_000)
    },
  )

  test('a COPY that waits for data is ended by closing the connection', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(query('copy t from stdin'))
    await postgres.expect('Query')
    postgres.send(copyIn())
    await client.expect('CopyInResponse')
    flow.postgres.holdsCancels = true
    client.vanish()
    await flow.postgres.nextCancel()
    expect(flow.counts()).toEqual({ leased: 1 })
    flow.postgres.finishCancels()
    await postgres.expectClosed()
  })

  test('a client that did not read its answer does not prevent that', async () => {
    const { flow, client, postgres } = await startPair({ windowBytes: 256 })
    client.stopReading()
    client.send(query('select 1'))
    await postgres.expect('Query')
    postgres.send(rowDescription('value'), ...Array.from({ length: 100 }, () => dataRow('x'.repeat(100))))
    await quiet()
    client.vanish()
    await flow.postgres.nextCancel()
    postgres.endCancelled()
    await postgres.expectClosed()
  })

  test.each([
    ['a server that ignores cancel requests', (_: Flow) => {}],
    ['a server that refuses cancel requests', (flow: Flow) => flow.postgres.refuse()],
    ['a server that no longer answers', (flow: Flow) => flow.transport.silence(flow.postgres.address)],
  ])('%s is closed after a while', async (_, fails) => {
    const { flow, client, postgres } = await startPair()
    client.send(query('one'))
    await postgres.expect('Query(one)')
    fails(flow)
    client.vanish()
    for (let seconds = 0; seconds < 10; seconds++) await flow.advance(1_000)
    expect(flow.counts()).toEqual({ leased: 1 })
    await flow.advance(100)
    await postgres.expectClosed()
    await flow.expectCounts({})
    expect(flow.logged('closing because: client disconnected with query in progress, which')).toHaveLength(1)
  })
})

test('the end of a client and of its server are each logged once', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(query('begin'))
  await postgres.expect('Query')
  postgres.send(complete('BEGIN'), ready('T'))
  await client.answer()
  client.hangUp()
  await postgres.expectClosed()
  const lines = flow.logged('closing because:').map((line) => line.replace(/^.*(C-0x|S-0x)\w+.*closing/, '$1 closing'))
  expect(lines).toEqual([
    expect.stringMatching(
      /^C-0x closing because: client unexpected eof \(age=0s\) HINT: The client left during a transaction, which is rolled back\. /,
    ),
    expect.stringMatching(
      /^S-0x closing because: client disconnect while server was not ready \(age=0s\) client=C-0x\w+ HINT: The client left during a transaction/,
    ),
  ])
  const [ofClient, ofServer] = flow.logged('closing because:')
  expect(/client=(\S+)/.exec(ofServer ?? '')?.[1], 'each line names the other connection').toBe(
    /C-0x\w+/.exec(ofClient ?? '')?.[0],
  )
  expect(flow.logged('pooler error')).toEqual([])
})

test('the log line about the end of a server names the client that held it, if any', async () => {
  const { flow, client, postgres } = await startPair({ settings: { server_idle_timeout: 60 } })
  client.send(query('select 1'))
  await postgres.expect('Query')
  postgres.send(complete('SELECT 1'), ready('I'))
  await client.answer()
  await flow.advance(60_100)
  await postgres.expectClosed()
  client.send(query('select 2'))
  const second = await flow.postgres.next()
  await second.expect('Query')
  second.reset()
  await client.expect('ErrorResponse(FATAL 08006 server conn crashed?)')
  await client.expectClosed()
  const [idle, crashed] = flow.logged('closing because: server')
  expect(idle).toMatch(/server idle timeout \(age=\d+s\)$/)
  expect(crashed).toMatch(/server conn crashed\?.* \(age=0s\) client=C-0x\w+ HINT: /)
})

test('the log has no hint about a client that disconnects while it is idle', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(query('select 1'))
  await postgres.expect('Query')
  postgres.send(complete('SELECT 1'), ready('I'))
  await client.answer()
  client.hangUp()
  await flow.expectCounts({ idle: 1 })
  expect(flow.logged('closing because: client unexpected eof')).toHaveLength(1)
  expect(flow.logged('HINT')).toEqual([])
})

test('the log says what happens to the query of a client that disconnects before the answer', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(query('select 1'))
  await postgres.expect('Query')
  client.vanish()
  await flow.postgres.nextCancel()
  postgres.endCancelled()
  await postgres.expectClosed()
  expect(flow.logged('HINT: The client left while its query was running; the query is canceled')).toHaveLength(1)
  expect(flow.logged('HINT: The client left before the answer')).toHaveLength(1)
})

test('a server that was closed because of its client is replaced at the next request', async () => {
  const flow = await startFlow()
  for (const name of ['one', 'two', 'three']) {
    const client = await flow.connect()
    client.send(query(name))
    const server = await flow.postgres.next()
    await server.expect(`Query(${name})`)
    client.vanish()
    await flow.postgres.nextCancel()
    server.endCancelled()
    await server.expectClosed()
  }
  await flow.expectCounts({})
})
