/** What is counted and timed for SHOW STATS and the metrics: everything once, whatever path it takes through the pooler. */

import { expect, test } from 'vitest'
import { BUCKETS_MS } from '../../src/base/histogram.ts'
import { run } from '../support/flow/commands.ts'
import { quiet } from '../support/flow/inbox.ts'
import { ask } from '../support/flow/prepared.ts'
import {
  bindComplete,
  complete,
  copyIn,
  parameterDescription,
  parseComplete,
  ready,
  rowDescription,
  rows,
} from '../support/flow/replies.ts'
import {
  bind,
  cancelRequest,
  copyDone,
  describeStatement,
  execute,
  message,
  parse,
  query,
  sync,
} from '../support/flow/requests.ts'
import { type Flow, startPair } from '../support/flow/start.ts'

async function totals(flow: Flow) {
  const all = await flow.pooler.parts.fleet.stats()
  const found = all.find(({ database }) => database === 'app')
  if (found === undefined) throw new Error('there are no statistics of app')
  return found.totals
}

const ASKED = query('select 1')

test('the bytes of a request count once, even if it waited for a server', async () => {
  const { flow, client } = await startPair({ settings: { default_pool_size: 1 } })
  const other = await flow.connect()
  const { server, finish } = await run(client, flow)
  other.send(ASKED)
  await flow.advance(1_000)
  await finish()
  await server.expect('Query')
  server.send(rows('2'), ready())
  await other.answer()
  expect(await totals(flow)).toMatchObject({ received: 2 * ASKED.length, waitUs: 1_000_000, queries: 2 })
})

test('each request of a pipeline is timed from the answer to the previous one, and each transaction counts', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(query('begin'), query('two'), query('commit'), query('four'))
  await postgres.expect('Query(begin)', 'Query(two)', 'Query(commit)', 'Query(four)')
  for (const status of ['T', 'T', 'I', 'I'] as const) {
    await flow.advance(1_000)
    postgres.send(complete('X'), ready(status))
    await client.answer()
  }
  expect(await totals(flow)).toMatchObject({ queries: 4, queryUs: 4e6, transactions: 2, transactionUs: 4e6 })
})

test('a COPY counts as one query that lasts until the client has sent its data', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(query('copy t from stdin'))
  await postgres.expect('Query')
  postgres.send(copyIn())
  await client.expect('CopyInResponse')
  await flow.advance(1_000)
  client.send(message('d', Buffer.from('1\n')))
  await flow.advance(1_000)
  client.send(copyDone)
  await postgres.inbox.through('CopyDone')
  postgres.send(complete('COPY 1'), ready())
  await client.answer()
  expect(await totals(flow)).toMatchObject({ queries: 1, queryUs: 2e6, transactions: 1, transactionUs: 2e6 })
})

test('the time in which a server is asked about the rows of a statement first is a part of the query’s time', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(parse('s1', 'select 1'), describeStatement('s1'), sync)
  await postgres.expect('Parse', 'Describe', 'Sync')
  const described = [parseComplete, parameterDescription(), rowDescription('a')]
  postgres.send(...described, ready())
  await client.answer()
  await ask({ client: await flow.connect(), postgres }, 'discard all', 'DISCARD ALL')
  client.send(bind('', 's1'), execute(), sync)
  await postgres.expect('Parse', 'Describe', 'Flush')
  await flow.advance(1_000)
  postgres.send(...described)
  await postgres.expect('Bind', 'Execute', 'Sync')
  await flow.advance(1_000)
  postgres.send(bindComplete, complete('SELECT 0'), ready())
  await client.answer()
  expect(await totals(flow)).toMatchObject({ queries: 3, queryUs: 2e6, transactionUs: 2e6 })
})

test('a request that was cancelled while it waited does not count as a query', async () => {
  const { flow, client } = await startPair({ settings: { default_pool_size: 1, query_wait_notify: 0 } })
  const other = await flow.connect()
  const { finish } = await run(client, flow)
  other.send(ASKED)
  await quiet()
  const canceller = await flow.dial()
  canceller.send(cancelRequest(other.key))
  await other.expect('ErrorResponse', 'ReadyForQuery(I)')
  await finish()
  expect(await totals(flow)).toMatchObject({ queries: 1, transactions: 1 })
})

test('a wait that ends without a server is in the percentiles: by a timeout, a cancel request, or the end of the client', async () => {
  const settings = { default_pool_size: 1, query_wait_timeout: 8, query_wait_notify: 0 }
  const { flow, client } = await startPair({ settings })
  const [late, cancelled, gone] = [await flow.connect(), await flow.connect(), await flow.connect()]
  const longWaits = async () => {
    const all = await flow.pooler.parts.fleet.latencies()
    const { counts } = all.find(({ database }) => database === 'app')?.wait ?? { counts: [] }
    return BUCKETS_MS.flatMap((ms, bucket) => (ms >= 1_000 && counts[bucket] ? [[ms, counts[bucket]]] : []))
  }
  const { finish } = await run(client, flow)
  for (const waiting of [late, cancelled, gone]) waiting.send(ASKED)
  await flow.advance(1_500)
  const canceller = await flow.dial()
  canceller.send(cancelRequest(cancelled.key))
  await cancelled.expect('ErrorResponse', 'ReadyForQuery(I)')
  await flow.advance(3_000)
  gone.vanish()
  await flow.advance(5_000)
  await late.expect('ErrorResponse(FATAL 57014 query_wait_timeout)')
  await late.expectClosed()
  expect(await longWaits()).toEqual([
    [2_000, 1],
    [5_000, 1],
    [10_000, 1],
  ])
  await finish()
})

test('the time of the last request is when it began, also after its answer, and for each request of a pipeline', async () => {
  const { flow, client, postgres } = await startPair()
  const sinceRequestMs = async () => {
    const [row] = await flow.pooler.parts.fleet.clients()
    return flow.clock.wallMs() - (row?.requestedAt ?? 0)
  }
  const answer = async (status: 'T' | 'I') => {
    postgres.send(complete('X'), ready(status))
    await client.answer()
  }
  client.send(query('begin'))
  await postgres.expect('Query')
  await flow.advance(1_000)
  expect(await sinceRequestMs()).toBe(1_000)
  await answer('T')
  await flow.advance(1_000)
  expect(await sinceRequestMs()).toBe(2_000)
  client.send(query('one'), query('commit'))
  await postgres.expect('Query(one)', 'Query(commit)')
  await flow.advance(1_000)
  await answer('T')
  await flow.advance(500)
  expect(await sinceRequestMs()).toBe(500)
  await answer('I')
  await flow.advance(500)
  expect(await sinceRequestMs()).toBe(2_000)
})
