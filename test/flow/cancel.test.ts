/** Rule 6: a cancel reaches the server that its client holds now, and no other server. */

import { describe, expect, test } from 'vitest'
import type { FlowClient } from '../support/flow/client.ts'
import { quiet } from '../support/flow/inbox.ts'
import { ask, RESULT } from '../support/flow/prepared.ts'
import {
  batchRows,
  bindComplete,
  complete,
  error,
  parameterDescription,
  parseComplete,
  ready,
  rowDescription,
  rows,
} from '../support/flow/replies.ts'
import {
  batch,
  bind,
  cancelRequest,
  describeStatement,
  execute,
  flush,
  functionCall,
  parse,
  query,
  sync,
} from '../support/flow/requests.ts'
import { type Flow, startPair } from '../support/flow/start.ts'

/** Cancels as libpq does: on a separate connection. Once that is closed, the cancel can no longer hit anything. */
async function cancel(flow: Flow, client: FlowClient): Promise<void> {
  const canceller = await beginCancel(flow, client)
  await canceller.expectClosed()
}

async function beginCancel(flow: Flow, client: FlowClient): Promise<FlowClient> {
  const canceller = await flow.dial()
  canceller.send(cancelRequest(client.key))
  await quiet()
  return canceller
}

const CANCELLED = error('57014', 'canceling statement due to user request')

test('a cancel is sent to the server that the client holds, with the key of that server', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(query('select pg_sleep(60)'))
  await postgres.expect('Query')
  await cancel(flow, client)
  const seen = await flow.postgres.nextCancel()
  expect(seen).toMatchObject({ pid: postgres.pid, secret: postgres.secret })
  expect(seen.channel.local).toEqual(postgres.channel.local)
  postgres.send(CANCELLED, ready())
  expect(await client.answer()).toEqual([
    'ErrorResponse(ERROR 57014 canceling statement due to user request)',
    'ReadyForQuery(I)',
  ])
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('each client’s cancel hits its own query', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(query('one'))
  await postgres.expect('Query(one)')
  const other = await flow.connect()
  other.send(query('two'))
  const second = await flow.postgres.next()
  await second.expect('Query(two)')
  await cancel(flow, other)
  expect((await flow.postgres.nextCancel()).target).toBe(second)
  await cancel(flow, client)
  expect((await flow.postgres.nextCancel()).target).toBe(postgres)
  postgres.send(rows('1'), ready())
  second.send(rows('2'), ready())
  await client.answer()
  await other.answer()
})

test('an unknown cancel key, or half of a key, cancels nothing', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(query('select 1'))
  await postgres.expect('Query')
  const { pid, secret } = client.key
  const wrong = Buffer.from(secret)
  wrong.writeUInt32BE((wrong.readUInt32BE(0) + 1) >>> 0)
  for (const key of [
    { pid, secret: wrong },
    { pid: pid + 1, secret },
    { pid: postgres.pid, secret: postgres.secret },
    { pid, secret: Buffer.concat([secret, secret]) },
  ]) {
    const canceller = await flow.dial()
    canceller.send(cancelRequest(key))
    await canceller.expectClosed()
  }
  await flow.postgres.expectNoCancel()
  postgres.send(rows('1'), ready())
  await client.answer()
})

test('a client’s cancel key is the pooler’s own: no client learns the key of a server', async () => {
  const { client, postgres } = await startPair()
  expect(client.key.pid).toBeGreaterThan(0)
  expect(client.key.secret).not.toEqual(postgres.secret)
})

describe('a cancel that comes too early or too late is not sent', () => {
  test('if the client is idle', async () => {
    const { flow, client } = await startPair()
    await cancel(flow, client)
    await flow.postgres.expectNoCancel()
  })

  test('if the client is idle in a transaction', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(query('begin'))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    await cancel(flow, client)
    await flow.postgres.expectNoCancel()
  })

  test('if the client’s answer arrives in the same turn', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(query('one'))
    await postgres.expect('Query(one)')
    const canceller = await flow.dial()
    // The answer and the cancel request arrive in the same turn of the event loop, the answer first.
    postgres.send(rows('1'), ready())
    canceller.send(cancelRequest(client.key))
    await client.answer()
    await canceller.expectClosed()
    await flow.postgres.expectNoCancel()
  })

  test('if the client’s answer arrives while the connection to cancel it is being opened', async () => {
    const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1 } })
    client.send(query('one'))
    await postgres.expect('Query(one)')
    const other = await flow.connect()
    other.send(query('two'))
    await flow.expectCounts({ leased: 1, waiting: 1 })
    const canceller = await flow.dial()
    // Both arrive in the same turn of the event loop, the cancel request first. The connection to Postgres is open in the next turn.
    canceller.send(cancelRequest(client.key))
    postgres.send(rows('1'), ready())
    await client.answer()
    await postgres.expect('Query(two)')
    await canceller.expectClosed()
    await flow.postgres.expectNoCancel()
    postgres.send(rows('2'), ready())
    await other.answer()
  })

  test('if the client’s next query is sent while that connection is being opened', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(query('one'))
    await postgres.expect('Query(one)')
    const canceller = await flow.dial()
    canceller.send(cancelRequest(client.key))
    postgres.send(rows('1'), ready())
    client.send(query('two'))
    await postgres.expect('Query(two)')
    await canceller.expectClosed()
    await flow.postgres.expectNoCancel()
    postgres.send(rows('2'), ready())
    expect([await client.answer(), await client.answer()].flat()).toContain('DataRow(2)')
  })

  test('to the next query of the same client', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(query('one'))
    await postgres.expect('Query(one)')
    flow.transport.silence(flow.postgres.address)
    await beginCancel(flow, client)
    postgres.send(rows('1'), ready())
    await client.answer()
    client.send(query('two'))
    await postgres.expect('Query(two)')
    await flow.postgres.expectNoCancel()
    postgres.send(rows('2'), ready())
    await client.answer()
    await flow.advance(11_000)
    expect(flow.pooler.parts.cancels.inFlight).toBe(0)
  })
})

describe('while a server is asked about the rows of a described statement before it is sent the client’s Bind, a cancel', () => {
  const ROWS = [parseComplete, parameterDescription(), rowDescription('a')]

  async function startAsking() {
    const pair = await startPair()
    const { flow, client, postgres } = pair
    client.send(parse('s1', 'select * from t'), describeStatement('s1'), sync)
    await postgres.expect('Parse', 'Describe', 'Sync')
    postgres.send(...ROWS, ready())
    await client.answer()
    await ask({ client: await flow.connect(), postgres }, 'discard all', 'DISCARD ALL')
    client.send(bind('', 's1'), execute(), sync)
    await postgres.expect('Parse', 'Describe', 'Flush')
    return pair
  }

  const TOLD = ['ErrorResponse(ERROR 57014 canceling statement due to user request)', 'ReadyForQuery(I)']

  test('is sent while the client’s own request runs, if it is not on its way before', async () => {
    const { flow, client, postgres } = await startAsking()
    const canceller = await flow.dial()
    // Both arrive in the same turn of the event loop. The connection to Postgres is open in the next turn.
    canceller.send(cancelRequest(client.key))
    postgres.send(...ROWS)
    await postgres.expect('Bind', 'Execute', 'Sync')
    expect((await flow.postgres.nextCancel()).target).toBe(postgres)
    await canceller.expectClosed()
    postgres.send(bindComplete, CANCELLED, ready())
    expect(await client.answer()).toEqual(['BindComplete', ...TOLD])
  })

  test('may hit that question, and the client gets the error', async () => {
    const { flow, client, postgres } = await startAsking()
    await cancel(flow, client)
    expect((await flow.postgres.nextCancel()).target).toBe(postgres)
    postgres.send(CANCELLED)
    await postgres.expect('Sync')
    postgres.send(ready())
    expect(await client.answer()).toEqual(TOLD)
  })

  test('that comes too late for that question takes effect all the same, and only once', async () => {
    const { flow, client, postgres } = await startAsking()
    client.send(batch('select 1'))
    await cancel(flow, client)
    postgres.send(...ROWS)
    await postgres.expect('Describe', 'Execute', 'Sync', 'Parse', 'Bind', 'Execute', 'Sync')
    postgres.send(error('26000', 'no such statement'), ready(), batchRows('1'))
    expect(await client.answer()).toEqual(TOLD)
    expect(await client.answer()).toContain('DataRow(1)')
    client.send(bind('', 's1'), execute(), sync)
    await postgres.expect('Bind', 'Execute', 'Sync')
    postgres.send(RESULT)
    expect(await client.answer()).toContain('BindComplete')
  })
})

test('only 32 cancels are sent at a time: the others wait, and are dropped if their query ends first', async () => {
  const { flow, client, postgres } = await startPair({ settings: { cancel_wait_timeout: 10 } })
  flow.postgres.holdsCancels = true
  client.send(query('one'))
  await postgres.expect('Query(one)')
  for (let number = 0; number < 40; number++) await beginCancel(flow, client)
  await quiet()
  expect(flow.postgres.cancels).toHaveLength(32)
  expect(flow.pooler.parts.cancels.waiting).toBe(8)
  flow.clock.advance(1)
  postgres.send(CANCELLED, ready())
  await client.answer()
  client.send(query('two'))
  await quiet()
  expect(flow.counts()).toEqual({ canceling: 1, leased: 1 })
  const second = await flow.postgres.next()
  await second.expect('Query(two)')
  flow.postgres.finishCancels()
  await flow.expectCounts({ idle: 1, leased: 1 })
  expect(flow.postgres.cancels).toHaveLength(32)
  second.send(rows('2'), ready())
  await client.answer()
})

describe('while a cancel is in flight', () => {
  test('its connection stays open, since the client may send a new query once it is closed', async () => {
    const { flow, client, postgres } = await startPair()
    flow.postgres.holdsCancels = true
    client.send(query('one'))
    await postgres.expect('Query(one)')
    const canceller = await beginCancel(flow, client)
    await flow.postgres.nextCancel()
    expect(canceller.isClosed).toBe(false)
    flow.postgres.finishCancels()
    await canceller.expectClosed()
    postgres.send(CANCELLED, ready())
    await client.answer()
  })

  test('its server is not reused: another client waits', async () => {
    const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1 } })
    flow.postgres.holdsCancels = true
    client.send(query('one'))
    await postgres.expect('Query(one)')
    await beginCancel(flow, client)
    await flow.postgres.nextCancel()
    // The answer comes before the cancel has taken effect.
    postgres.send(rows('1'), ready())
    await client.answer()
    expect(flow.counts()).toEqual({ canceling: 1 })
    const other = await flow.connect()
    other.send(query('two'))
    await quiet()
    expect(flow.counts()).toEqual({ canceling: 1, waiting: 1 })
    await postgres.expectNothing()
    flow.postgres.finishCancels()
    await postgres.expect('Query(two)')
    postgres.send(rows('2'), ready())
    expect(await other.answer()).toContain('DataRow(2)')
  })

  test('if there are several, the server is reused only after the last one', async () => {
    const { flow, client, postgres } = await startPair()
    flow.postgres.holdsCancels = true
    client.send(query('one'))
    await postgres.expect('Query(one)')
    await beginCancel(flow, client)
    await beginCancel(flow, client)
    const [first, second] = [await flow.postgres.nextCancel(), await flow.postgres.nextCancel()]
    postgres.send(CANCELLED, ready())
    await client.answer()
    first.channel.close()
    await quiet()
    expect(flow.counts()).toEqual({ canceling: 1 })
    second.channel.close()
    await flow.expectCounts({ idle: 1 })
  })

  test('in session mode, the reset waits for it too', async () => {
    const { flow, client, postgres } = await startPair({
      settings: { pool_mode: 'session', server_reset_query: 'reset' },
    })
    await postgres.expect('Query(reset)')
    postgres.send(complete('RESET'), ready())
    flow.postgres.holdsCancels = true
    client.send(query('one'))
    await postgres.expect('Query(one)')
    await beginCancel(flow, client)
    await flow.postgres.nextCancel()
    postgres.send(rows('1'), ready())
    await client.answer()
    client.leave()
    await quiet()
    expect(flow.counts()).toEqual({ canceling: 1 })
    flow.postgres.finishCancels()
    await postgres.expect('Query(reset)')
    postgres.send(complete('RESET'), ready())
    await flow.expectCounts({ idle: 1 })
  })

  test('its connection may break, after which the server is free again', async () => {
    const { flow, client, postgres } = await startPair()
    flow.postgres.holdsCancels = true
    client.send(query('one'))
    await postgres.expect('Query(one)')
    await beginCancel(flow, client)
    const seen = await flow.postgres.nextCancel()
    postgres.send(rows('1'), ready())
    await client.answer()
    seen.channel.reset()
    await flow.expectCounts({ idle: 1 })
  })
})

describe('cancel_wait_timeout', () => {
  test('gives up a cancel that was sent and not finished, and closes its server', async () => {
    const { flow, client, postgres } = await startPair({ settings: { cancel_wait_timeout: 10 } })
    flow.postgres.holdsCancels = true
    client.send(query('one'))
    await postgres.expect('Query(one)')
    await beginCancel(flow, client)
    await flow.postgres.nextCancel()
    postgres.send(rows('1'), ready())
    await client.answer()
    await flow.advance(9_900)
    expect(flow.counts()).toEqual({ canceling: 1 })
    await flow.advance(200)
    expect(flow.counts()).toEqual({})
    await postgres.expectClosed()
  })

  test('does not interrupt a query that still runs: the server is closed when it has finished', async () => {
    const { flow, client, postgres } = await startPair({ settings: { cancel_wait_timeout: 10 } })
    flow.postgres.holdsCancels = true
    client.send(query('one'))
    await postgres.expect('Query(one)')
    await beginCancel(flow, client)
    await flow.postgres.nextCancel()
    await flow.advance(10_100)
    expect(flow.counts()).toEqual({ leased: 1 })
    postgres.send(rows('1'), ready())
    expect(await client.answer()).toContain('DataRow(1)')
    await postgres.expectClosed()
    client.send(query('two'))
    const next = await flow.postgres.next()
    await next.expect('Query(two)')
    next.send(rows('2'), ready())
    expect(await client.answer()).toContain('DataRow(2)')
  })

  test('gives up a cancel that cannot connect', async () => {
    const { flow, client, postgres } = await startPair({ settings: { cancel_wait_timeout: 10 } })
    client.send(query('one'))
    await postgres.expect('Query(one)')
    flow.transport.silence(flow.postgres.address)
    await beginCancel(flow, client)
    await flow.advance(10_100)
    expect(flow.pooler.parts.cancels.inFlight).toBe(0)
    postgres.send(rows('1'), ready())
    await client.answer()
    expect(flow.counts()).toEqual({ idle: 1 })
  })

  test('closes the server of a client that has left, even if the cancel gets no answer', async () => {
    const { flow, client, postgres } = await startPair({ settings: { cancel_wait_timeout: 10 } })
    flow.postgres.holdsCancels = true
    client.send(query('one'))
    await postgres.expect('Query(one)')
    client.vanish()
    await flow.postgres.nextCancel()
    expect(flow.counts()).toEqual({ leased: 1 })
    await flow.advance(10_100)
    await postgres.expectClosed()
    await flow.expectCounts({})
  })
})

describe('a queued client’s cancel ends its wait', () => {
  async function startQueued(request: readonly Buffer[]) {
    const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1 } })
    client.send(query('begin'))
    await postgres.expect('Query(begin)')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    const queued = await flow.connect()
    queued.send(...request)
    await flow.expectCounts({ leased: 1, waiting: 1 })
    await cancel(flow, queued)
    await flow.postgres.expectNoCancel()
    /** The server becomes free, and the client that was cancelled can use it. */
    async function goOn() {
      expect(flow.counts()).toEqual({ leased: 1 })
      client.send(query('commit'))
      await postgres.expect('Query(commit)')
      postgres.send(complete('COMMIT'), ready())
      await client.answer()
      queued.send(query('afterwards'))
      await postgres.expect('Query(afterwards)')
      postgres.send(rows('yes'), ready())
      expect(await queued.answer()).toContain('DataRow(yes)')
    }
    return { flow, queued, postgres, goOn }
  }

  const SAID = 'ErrorResponse(ERROR 57014 canceling statement due to user request)'

  for (const [what, request] of [
    ['a query', query('select 1')],
    ['a function call', functionCall(1)],
    ['a Sync', sync],
  ] as const)
    test(`for ${what}`, async () => {
      const { queued, goOn } = await startQueued([request])
      await queued.expect(SAID, 'ReadyForQuery(I)')
      await goOn()
    })

  test('for a batch, which is skipped up to its Sync', async () => {
    const { queued, goOn } = await startQueued([batch('select 1')])
    await queued.expect(SAID, 'ReadyForQuery(I)')
    await goOn()
  })

  test('for a batch whose Sync has not arrived yet', async () => {
    const { queued, goOn } = await startQueued([parse('', 'select 1'), bind('', '')])
    await queued.expect(SAID)
    queued.send(execute(), flush)
    await queued.expectNothing()
    queued.send(sync)
    await queued.expect('ReadyForQuery(I)')
    await goOn()
  })

  test('for the first of two batches only', async () => {
    const { queued, flow, postgres } = await startQueued([batch('one'), batch('two')])
    await queued.expect(SAID, 'ReadyForQuery(I)')
    await flow.expectCounts({ leased: 1, waiting: 1 })
    const [holder] = flow.clients
    holder?.send(query('commit'))
    await postgres.expect('Query(commit)')
    postgres.send(complete('COMMIT'), ready())
    await holder?.answer()
    await postgres.expect('Parse(, two)', 'Bind', 'Execute', 'Sync')
    postgres.send(batchRows('2'))
    expect(await queued.answer()).toContain('DataRow(2)')
  })

  test('for the first of two queries only', async () => {
    const { queued, flow, postgres } = await startQueued([query('one'), query('two')])
    await queued.expect(SAID, 'ReadyForQuery(I)')
    await flow.expectCounts({ leased: 1, waiting: 1 })
    const [holder] = flow.clients
    holder?.send(query('commit'))
    await postgres.expect('Query(commit)')
    postgres.send(complete('COMMIT'), ready())
    await holder?.answer()
    await postgres.expect('Query(two)')
    postgres.send(rows('2'), ready())
    expect(await queued.answer()).toContain('DataRow(2)')
  })

  test('for a query that has arrived in part', async () => {
    const whole = query(`select ${'x'.repeat(100)}`)
    const { queued, goOn } = await startQueued([whole.subarray(0, 50)])
    await queued.expect(SAID, 'ReadyForQuery(I)')
    queued.send(whole.subarray(50))
    await queued.expectNothing()
    await goOn()
  })

  test('while its server is being prepared for it', async () => {
    const { flow, client, postgres } = await startPair()
    const queued = await flow.connect({ parameters: { application_name: 'other' } })
    queued.send(query('one'))
    await postgres.expect('Query')
    await flow.expectCounts({ aligning: 1 })
    await cancel(flow, queued)
    await queued.expect(SAID, 'ReadyForQuery(I)')
    await flow.postgres.expectNoCancel()
    postgres.send(rows('other'), ready())
    await flow.expectCounts({ idle: 1 })
    client.send(query('two'))
    await postgres.expect('Query')
    postgres.send(rows(''), ready())
    await postgres.expect('Query(two)')
    postgres.send(rows('2'), ready())
    await client.answer()
  })
})
