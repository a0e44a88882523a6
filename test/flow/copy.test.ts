/** COPY in both directions, through both protocols, with errors at any moment. */

import { describe, expect, test } from 'vitest'
import { quiet } from '../support/flow/inbox.ts'
import { startPrepared } from '../support/flow/prepared.ts'
import {
  batchRows,
  bindComplete,
  closeComplete,
  complete,
  copyData,
  copyIn,
  copyOut,
  copyDone as copyOutDone,
  error,
  noData,
  parseComplete,
  ready,
  rows,
} from '../support/flow/replies.ts'
import {
  batch,
  bind,
  closeStatement,
  copyDone,
  copyFail,
  describePortal,
  execute,
  parse,
  query,
  sync,
} from '../support/flow/requests.ts'
import { type FlowOptions, type Pair, startPair } from '../support/flow/start.ts'

const BAD_ROW = error('22P04', 'extra data after last expected column')

/** Expects that the server is idle and that the client's next query is answered. */
async function expectUsable({ flow, client, postgres }: Pick<Pair, 'flow' | 'client' | 'postgres'>) {
  expect(flow.counts()).toEqual({ idle: 1 })
  client.send(query('afterwards'))
  await postgres.expect('Query(afterwards)')
  postgres.send(rows('yes'), ready())
  expect(await client.answer()).toEqual([
    'RowDescription(value)',
    'DataRow(yes)',
    'CommandComplete(SELECT 1)',
    'ReadyForQuery(I)',
  ])
  expect(flow.counts()).toEqual({ idle: 1 })
}

/** The server may still answer a Sync that it had not read when the COPY failed: it becomes idle only once the fence has been answered. */
async function expectUsableAfterFence(pair: Pick<Pair, 'flow' | 'client' | 'postgres'>, late = 0) {
  const { flow, client, postgres } = pair
  await expectFence(pair)
  postgres.send(...Array.from({ length: late }, () => ready()), closeComplete)
  for (let left = late; left > 0; left--) await client.expect('ReadyForQuery(I)')
  await flow.expectCounts({ idle: 1 })
  await client.expectNothing()
  await expectUsable(pair)
}

async function expectFence({ flow, postgres }: Pick<Pair, 'flow' | 'postgres'>) {
  const [seen] = await postgres.inbox.through('Flush')
  expect(seen).toMatch(/^Close\(statement/)
  expect(flow.counts()).toEqual({ leased: 1 })
}

describe('COPY to the client', () => {
  test('by a simple query', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(query('copy t to stdout'))
    await postgres.expect('Query')
    postgres.send(copyOut(), copyData('1\n'), copyData('2\n'), copyOutDone, complete('COPY 2'), ready())
    expect(await client.answer()).toEqual([
      'CopyOutResponse',
      'CopyData(1\n)',
      'CopyData(2\n)',
      'CopyDone',
      'CommandComplete(COPY 2)',
      'ReadyForQuery(I)',
    ])
    await expectUsable(pair)
  })

  test('by a batch', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(batch('copy t to stdout'), batch('select 2'))
    await quiet()
    postgres.inbox.take()
    postgres.send(parseComplete, bindComplete, copyOut(), copyData('1\n'), copyOutDone, complete('COPY 1'), ready())
    expect(await client.answer()).toHaveLength(7)
    postgres.send(parseComplete, bindComplete, complete('SELECT 0'), ready())
    await client.answer()
    await expectUsable(pair)
  })

  test('that fails halfway', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(query('copy t to stdout'))
    await postgres.expect('Query')
    postgres.send(copyOut(), copyData('1\n'), error('57014', 'canceling statement due to statement timeout'), ready())
    expect(await client.answer()).toHaveLength(4)
    await expectUsable(pair)
  })
})

describe('COPY from the client by a simple query', () => {
  test('with data sent after CopyInResponse', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(query('copy t from stdin'))
    await postgres.expect('Query')
    postgres.send(copyIn())
    await client.expect('CopyInResponse')
    client.send(copyData('1\n'), copyData('2\n'))
    await postgres.expect('CopyData(1\n)', 'CopyData(2\n)')
    client.send(copyDone)
    await postgres.expect('CopyDone')
    postgres.send(complete('COPY 2'), ready())
    expect(await client.answer()).toEqual(['CommandComplete(COPY 2)', 'ReadyForQuery(I)'])
    await expectUsable(pair)
  })

  test('with data sent early, before CopyInResponse', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(query('copy t from stdin'), copyData('1\n'), copyDone)
    await postgres.expect('Query', 'CopyData', 'CopyDone')
    postgres.send(copyIn(), complete('COPY 1'), ready())
    expect(await client.answer()).toEqual(['CopyInResponse', 'CommandComplete(COPY 1)', 'ReadyForQuery(I)'])
    await expectUsable(pair)
  })

  test('with data and the next query sent early', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(query('copy t from stdin'), copyData('1\n'), copyDone, query('select 1'))
    await postgres.expect('Query', 'CopyData', 'CopyDone', 'Query(select 1)')
    postgres.send(copyIn(), complete('COPY 1'), ready())
    await client.answer()
    expect(pair.flow.counts()).toEqual({ leased: 1 })
    postgres.send(rows('1'), ready())
    expect(await client.answer()).toContain('DataRow(1)')
    await expectUsable(pair)
  })

  test('with data sent early to a command that fails before CopyInResponse', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(query('copy nowhere from stdin'), copyData('1\n'), copyDone, query('select 1'))
    await postgres.expect('Query', 'CopyData', 'CopyDone', 'Query(select 1)')
    postgres.send(error('42P01', 'no such table'), ready(), rows('1'), ready())
    expect(await client.answer()).toEqual(['ErrorResponse(ERROR 42P01 no such table)', 'ReadyForQuery(I)'])
    expect(await client.answer()).toContain('DataRow(1)')
    await expectUsable(pair)
  })

  test('that the client aborts', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(query('copy t from stdin'))
    await postgres.expect('Query')
    postgres.send(copyIn())
    await client.expect('CopyInResponse')
    client.send(copyData('1\n'), copyFail('never mind'))
    await postgres.expect('CopyData', 'CopyFail(never mind)')
    postgres.send(error('57014', 'COPY from stdin failed: never mind'), ready())
    expect(await client.answer()).toHaveLength(2)
    await expectUsable(pair)
  })

  test('that fails while data arrives: the rest of the data is dropped and takes no server', async () => {
    const pair = await startPair()
    const { flow, client, postgres } = pair
    client.send(query('copy t from stdin'))
    await postgres.expect('Query')
    postgres.send(copyIn())
    await client.expect('CopyInResponse')
    client.send(copyData('bad\n'))
    await postgres.expect('CopyData(bad\n)')
    postgres.send(BAD_ROW, ready())
    expect(await client.answer()).toHaveLength(2)
    client.send(copyData('2\n'), copyData('3\n'), copyDone)
    await client.expectNothing()
    await postgres.expectNothing()
    expect(flow.counts()).toEqual({ idle: 1 })
    await expectUsable(pair)
  })

  test('that fails halfway through a row: the other half is sent to no other server', async () => {
    const pair = await startPair()
    const { flow, client, postgres } = pair
    client.send(query('copy t from stdin'))
    await postgres.expect('Query')
    postgres.send(copyIn())
    await client.expect('CopyInResponse')
    const row = copyData('x'.repeat(400))
    client.send(row.subarray(0, 200))
    await quiet()
    postgres.send(BAD_ROW, ready())
    await client.answer()
    await quiet()
    expect(flow.counts()).toEqual({ leased: 1 })
    client.send(row.subarray(200), copyDone)
    await flow.expectCounts({ idle: 1 })
    postgres.inbox.take()
    await expectUsable(pair)
  })

  test('that fails between CopyDone and its completion', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(query('copy t from stdin'))
    await postgres.expect('Query')
    postgres.send(copyIn())
    await client.expect('CopyInResponse')
    client.send(copyData('1\n'), copyDone, query('select 1'))
    await postgres.expect('CopyData', 'CopyDone', 'Query(select 1)')
    postgres.send(error('23505', 'duplicate key'), ready(), rows('1'), ready())
    expect(await client.answer()).toEqual(['ErrorResponse(ERROR 23505 duplicate key)', 'ReadyForQuery(I)'])
    expect(await client.answer()).toContain('DataRow(1)')
    await expectUsable(pair)
  })

  test('with Syncs among the data, which Postgres ignores', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(query('copy t from stdin'))
    await postgres.expect('Query')
    postgres.send(copyIn())
    await client.expect('CopyInResponse')
    client.send(copyData('1\n'), sync, sync, copyData('2\n'), copyDone)
    await postgres.expect('CopyData', 'Sync', 'Sync', 'CopyData', 'CopyDone')
    postgres.send(complete('COPY 2'), ready())
    await client.expect('CommandComplete(COPY 2)', 'ReadyForQuery(I)')
    await expectUsable(pair)
  })

  test('several times within one query', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(query('copy a from stdin; copy b from stdin'))
    await postgres.expect('Query')
    for (const table of ['a', 'b']) {
      postgres.send(copyIn())
      await client.expect('CopyInResponse')
      client.send(copyData(`${table}\n`), copyDone)
      await postgres.expect(`CopyData(${table}\n)`, 'CopyDone')
      postgres.send(complete('COPY 1'))
      await client.expect('CommandComplete(COPY 1)')
    }
    postgres.send(ready())
    await client.expect('ReadyForQuery(I)')
    await expectUsable(pair)
  })
})

describe('COPY from the client by a batch', () => {
  /** Begins a COPY as libpq does: a Sync follows the Execute, and another one follows the data. */
  async function startCopy(options: FlowOptions = {}): Promise<Pair> {
    const pair = await startPair(options)
    if (options.settings?.['pool_mode'] === 'session') {
      await pair.postgres.expect('Query(DISCARD ALL)')
      pair.postgres.send(complete('DISCARD ALL'), ready())
    }
    pair.client.send(parse('', 'copy t from stdin'), bind('', ''), describePortal(), execute(), sync)
    await pair.postgres.expect('Parse', 'Bind', 'Describe', 'Execute', 'Sync')
    pair.postgres.send(parseComplete, bindComplete, noData, copyIn())
    await pair.client.expect('ParseComplete', 'BindComplete', 'NoData', 'CopyInResponse')
    return pair
  }

  test('as libpq sends it', async () => {
    const pair = await startCopy()
    const { client, postgres } = pair
    client.send(copyData('1\n'))
    await postgres.expect('CopyData')
    client.send(copyDone, sync)
    await postgres.expect('CopyDone', 'Sync')
    expect(pair.flow.counts()).toEqual({ leased: 1 })
    postgres.send(complete('COPY 1'))
    await client.expect('CommandComplete(COPY 1)')
    await quiet()
    expect(pair.flow.counts()).toEqual({ leased: 1 })
    postgres.send(ready())
    await client.expect('ReadyForQuery(I)')
    await expectUsable(pair)
  })

  test('whose Sync comes after its completion: until then the transaction is open', async () => {
    const pair = await startCopy()
    const { flow, client, postgres } = pair
    client.send(copyData('1\n'), copyDone)
    await postgres.expect('CopyData', 'CopyDone')
    postgres.send(complete('COPY 1'))
    await client.expect('CommandComplete(COPY 1)')
    await quiet()
    expect(flow.counts()).toEqual({ leased: 1 })
    client.send(sync)
    await postgres.expect('Sync')
    postgres.send(ready())
    await client.expect('ReadyForQuery(I)')
    await expectUsable(pair)
  })

  test('with everything sent early', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(parse('', 'copy t from stdin'), bind('', ''), execute(), sync, copyData('1\n'), copyDone, sync)
    await postgres.expect('Parse', 'Bind', 'Execute', 'Sync', 'CopyData', 'CopyDone', 'Sync')
    postgres.send(parseComplete, bindComplete, copyIn(), complete('COPY 1'), ready())
    expect(await client.answer()).toEqual([
      'ParseComplete',
      'BindComplete',
      'CopyInResponse',
      'CommandComplete(COPY 1)',
      'ReadyForQuery(I)',
    ])
    await expectUsable(pair)
  })

  test('with everything and another batch sent early', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(parse('', 'copy t from stdin'), bind('', ''), execute(), copyData('1\n'), copyDone, sync, batch('two'))
    await quiet()
    postgres.inbox.take()
    postgres.send(parseComplete, bindComplete, copyIn(), complete('COPY 1'), ready())
    expect(await client.answer()).toContain('CommandComplete(COPY 1)')
    expect(pair.flow.counts()).toEqual({ leased: 1 })
    postgres.send(parseComplete, bindComplete, complete('SELECT 0'), ready())
    expect(await client.answer()).toContain('CommandComplete(SELECT 0)')
    await expectUsable(pair)
  })

  test('that fails while data arrives, before the client’s Sync', async () => {
    const pair = await startCopy()
    const { flow, client, postgres } = pair
    client.send(copyData('bad\n'))
    await postgres.expect('CopyData')
    postgres.send(BAD_ROW)
    await client.expect('ErrorResponse')
    client.send(copyData('2\n'), copyDone)
    await client.expectNothing()
    expect(flow.counts()).toEqual({ leased: 1 })
    client.send(sync)
    await quiet()
    expect(postgres.inbox.take().at(-1)?.name).toBe('Sync')
    postgres.send(ready())
    await client.expect('ReadyForQuery(I)')
    await expectUsableAfterFence(pair)
  })

  test('that fails after everything including the Sync was sent', async () => {
    const pair = await startCopy()
    const { client, postgres } = pair
    client.send(copyData('bad\n'), copyData('2\n'), copyDone, sync, query('select 1'))
    await postgres.expect('CopyData', 'CopyData', 'CopyDone', 'Sync', 'Query')
    postgres.send(BAD_ROW, ready(), rows('1'), ready())
    expect(await client.answer()).toHaveLength(2)
    expect(await client.answer()).toContain('DataRow(1)')
    await expectUsable(pair)
  })

  test('with everything sent early to a command that fails before CopyInResponse', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(parse('', 'copy nowhere'), bind('', ''), execute(), sync, copyData('1\n'), copyDone, sync)
    await quiet()
    postgres.inbox.take()
    postgres.send(error('42P01', 'no such table'), ready(), ready())
    expect(await client.answer()).toEqual(['ErrorResponse(ERROR 42P01 no such table)', 'ReadyForQuery(I)'])
    expect(await client.answer()).toEqual(['ReadyForQuery(I)'])
    await expectUsable(pair)
  })

  test('that the client aborts', async () => {
    const pair = await startCopy()
    const { client, postgres } = pair
    client.send(copyFail('never mind'), sync)
    await postgres.expect('CopyFail', 'Sync')
    postgres.send(error('57014', 'COPY from stdin failed: never mind'), ready())
    expect(await client.answer()).toHaveLength(2)
    await expectUsableAfterFence(pair)
  })

  test.each([
    ['sent early', true],
    ['sent after CopyInResponse', false],
  ])('that the client aborts, with more requests before its next Sync, %s: they are skipped', async (_, isEarly) => {
    const pair = await startPair()
    const { client, postgres } = pair
    const rest = [copyFail('never mind'), parse('', 'select 1'), bind('', ''), execute(), sync, batch('select 2')]
    client.send(parse('', 'copy t from stdin'), bind('', ''), execute(), sync, ...(isEarly ? rest : []))
    await postgres.inbox.through('Sync')
    postgres.send(parseComplete, bindComplete, copyIn())
    await client.expect('ParseComplete', 'BindComplete', 'CopyInResponse')
    if (!isEarly) client.send(...rest)
    await quiet()
    postgres.inbox.take()
    postgres.send(error('57014', 'COPY from stdin failed: never mind', 'ERROR', { R: 'CopyGetData' }), ready())
    expect(await client.answer()).toHaveLength(2)
    postgres.send(batchRows('2'))
    expect(await client.answer()).toContain('DataRow(2)')
    await expectUsable(pair)
  })

  test('that fails before the server has read the Sync after Execute: no client gets an additional ReadyForQuery', async () => {
    // A trigger BEFORE STATEMENT fails after CopyInResponse and before the first read. So the Sync after Execute ends the skipping, and the
    // one after the data gets its own answer.
    const pair = await startCopy({ settings: { default_pool_size: 1 } })
    const { flow, client, postgres } = pair
    client.send(copyData('1\n'), copyDone, sync)
    await postgres.expect('CopyData', 'CopyDone', 'Sync')
    postgres.send(error('P0001', 'raised'), ready())
    await client.expect('ErrorResponse(ERROR P0001 raised)', 'ReadyForQuery(I)')
    await expectFence(pair)
    const other = await flow.connect()
    other.send(query('select 2'))
    await flow.expectCounts({ leased: 1, waiting: 1 })
    postgres.send(ready())
    await client.expect('ReadyForQuery(I)')
    await postgres.expectNothing()
    postgres.send(closeComplete)
    await postgres.expect('Query(select 2)')
    await other.expectNothing()
    postgres.send(rows('2'), ready())
    expect(await other.answer()).toContain('DataRow(2)')
  })

  test('with a request among the data, which the server reads only after the COPY has failed: the Sync of the request is answered', async () => {
    for (const isBlind of [false, true]) {
      const pair = await startPair()
      const { flow, client, postgres } = pair
      const bad = copyData('bad\n')
      const request = [parse('', 'select 2'), bind('', 'unknown'), sync]
      client.send(query('copy t from stdin'), ...(isBlind ? [bad, ...request] : []))
      await postgres.expect('Query')
      postgres.send(copyIn())
      await client.expect('CopyInResponse')
      if (!isBlind) client.send(bad, ...request)
      client.send(copyDone, sync)
      await quiet()
      postgres.inbox.take()
      postgres.send(BAD_ROW, ready())
      expect(await client.answer()).toHaveLength(2)
      postgres.send(parseComplete, error('26000', 'no such statement'), ready())
      expect(await client.answer()).toHaveLength(3)
      // No other client may get the server before the ReadyForQuery of the second Sync has arrived.
      expect(flow.counts()).toEqual({ leased: 1 })
      postgres.send(ready())
      await client.expect('ReadyForQuery(I)')
      await expectUsable(pair)
    }
  })

  test('that fails with requests after its Sync, which may be answered or skipped: the server is not used again', async () => {
    const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1 } })
    const other = await flow.connect()
    client.send(parse('', 'copy t from stdin'), bind('', ''), execute(), sync)
    client.send(parse('', 'select 1'), bind('', ''), execute())
    await postgres.expect('Parse', 'Bind', 'Execute', 'Sync', 'Parse', 'Bind', 'Execute')
    other.send(query('select 2'))
    await flow.expectCounts({ leased: 1, waiting: 1 })
    // A trigger BEFORE STATEMENT fails before the server has read the Sync.
    postgres.send(parseComplete, bindComplete, copyIn(), error('P0001', 'raised'), ready())
    postgres.send(parseComplete, bindComplete, rows('1'))
    await client.expect('ParseComplete', 'BindComplete', 'CopyInResponse')
    await client.expect('ErrorResponse(FATAL 08P01 server conn crashed?)')
    await postgres.expectClosed()
    const second = await flow.postgres.next()
    await second.expect('Query(select 2)')
    second.send(rows('2'), ready())
    expect(await other.answer()).toContain('DataRow(2)')
    expect(other.inbox.all.map(({ shown }) => shown)).not.toContain('DataRow(1)')
  })

  describe('once COPY has begun, a request that was held back is sent, since the server answers nothing until it receives it:', () => {
    test('a Bind that waited for the statement’s Parse', async () => {
      const { client, postgres } = await startPair()
      client.send(parse('', 'copy t from stdin'), bind('', ''), execute(), sync, bind('', ''), sync)
      await postgres.expect('Parse', 'Bind', 'Execute', 'Sync')
      await postgres.expectNothing()
      postgres.send(parseComplete, bindComplete, copyIn())
      await postgres.expect('Bind', 'Sync')
      postgres.send(error('08P01', 'unexpected message type 0x42 during COPY from stdin', 'FATAL'))
      expect(await client.inbox.through('ErrorResponse')).toHaveLength(4)
    })

    test('a DEALLOCATE that waited for the COPY', async () => {
      const { client, postgres } = await startPrepared()
      client.send(query('copy t from stdin'), query('deallocate s1'))
      await postgres.expect('Query(copy t from stdin)')
      await postgres.expectNothing()
      postgres.send(copyIn())
      await postgres.expect('Query(deallocate s1)')
      postgres.send(error('08P01', 'unexpected message type 0x51 during COPY from stdin', 'FATAL'))
      expect(await client.inbox.through('ErrorResponse')).toHaveLength(2)
    })

    test('a Bind whose statement is still in doubt, which ends the connection', async () => {
      const { client, postgres } = await startPrepared()
      client.send(query('deallocate all; copy t from stdin'), bind('', 's1'), sync)
      await postgres.expect('Query')
      await postgres.expectNothing()
      postgres.send(complete('DEALLOCATE ALL'), copyIn())
      await client.expect('CommandComplete(DEALLOCATE ALL)', 'CopyInResponse')
      await client.expect("ErrorResponse(FATAL 08P01 a message of type 'B' is out of turn within a COPY)")
      await client.expectClosed()
    })
  })

  test('whose CopyDone follows a request that the pooler answers itself', async () => {
    const pair = await startPair()
    const { flow, client, postgres } = pair
    client.send(parse('s1', 'select 1'), sync)
    await postgres.expect('Parse', 'Sync')
    postgres.send(parseComplete, ready())
    await client.answer()
    client.send(query('copy t from stdin'), closeStatement('s1'), copyDone)
    await postgres.expect('Query', 'CopyDone')
    postgres.send(copyIn())
    await client.expect('CopyInResponse')
    client.send(sync)
    await postgres.expect('Sync')
    postgres.send(complete('COPY 0'), ready())
    await client.expect('CommandComplete(COPY 0)', 'ReadyForQuery(I)', 'CloseComplete')
    // No other client may get the server before the Sync has been answered.
    expect(flow.counts()).toEqual({ leased: 1 })
    postgres.send(ready())
    await client.expect('ReadyForQuery(I)')
    await expectUsable(pair)
  })

  test('with Syncs among the data, some of which the server reads only after the COPY has failed', async () => {
    for (const late of [0, 1, 2]) {
      const pair = await startPair()
      const { client, postgres } = pair
      client.send(query('copy t from stdin'))
      await postgres.expect('Query')
      postgres.send(copyIn())
      await client.expect('CopyInResponse')
      client.send(copyData('bad\n'), sync, copyData('2\n'), sync, copyDone)
      await postgres.expect('CopyData', 'Sync', 'CopyData', 'Sync', 'CopyDone')
      postgres.send(BAD_ROW, ready())
      expect(await client.answer()).toHaveLength(2)
      await expectUsableAfterFence(pair, late)
    }
  })

  test('with Syncs among the data that have all been answered when it ends', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(query('copy t from stdin'))
    await postgres.expect('Query')
    postgres.send(copyIn())
    await client.expect('CopyInResponse')
    client.send(copyData('bad\n'), sync, copyData('2\n'), sync, copyDone)
    await postgres.expect('CopyData', 'Sync', 'CopyData', 'Sync', 'CopyDone')
    postgres.send(BAD_ROW, ready(), ready(), ready())
    expect(await client.answer()).toHaveLength(2)
    await client.expect('ReadyForQuery(I)', 'ReadyForQuery(I)')
    await expectUsable(pair)
  })

  test('that leaves a Sync in doubt: the client’s next requests are answered after that', async () => {
    const pair = await startCopy({ settings: { pool_mode: 'session' } })
    const { client, postgres } = pair
    client.send(copyData('1\n'), copyDone, sync)
    await postgres.expect('CopyData', 'CopyDone', 'Sync')
    postgres.send(error('P0001', 'raised'), ready())
    await client.answer()
    await expectFence(pair)
    client.send(parse('', 'one'), bind('', ''), execute())
    await postgres.expect('Parse', 'Bind', 'Execute')
    postgres.send(ready(), closeComplete)
    await client.expect('ReadyForQuery(I)')
    client.send(sync)
    await postgres.expect('Sync')
    postgres.send(parseComplete, bindComplete, complete('SELECT 0'), ready())
    expect(await client.answer()).toHaveLength(4)
    client.send(query('two'))
    await postgres.expect('Query(two)')
    postgres.send(rows('2'), ready())
    expect(await client.answer()).toContain('DataRow(2)')
  })

  test('that leaves a Sync in doubt: a client that disconnects meanwhile costs the server', async () => {
    const pair = await startCopy()
    const { flow, client, postgres } = pair
    client.send(copyData('1\n'), copyDone, sync)
    await postgres.expect('CopyData', 'CopyDone', 'Sync')
    postgres.send(error('P0001', 'raised'), ready())
    await client.answer()
    await expectFence(pair)
    client.vanish()
    await flow.postgres.nextCancel()
    postgres.send(ready(), closeComplete)
    await postgres.expectClosed()
  })

  test('that fails halfway through a row: the rest of the row is sent before the pooler’s own requests', async () => {
    const pair = await startCopy()
    const { client, postgres } = pair
    const row = copyData('x'.repeat(1_000))
    client.send(copyDone, sync, row.subarray(0, 500))
    await postgres.expect('CopyDone', 'Sync')
    postgres.send(error('P0001', 'raised'), ready())
    await client.answer()
    await postgres.expectNothing()
    client.send(row.subarray(500))
    await postgres.expect('CopyData')
    await expectUsableAfterFence(pair, 1)
  })

  test('that fails before the client has sent its last Sync: the Sync after Execute ends the skipping', async () => {
    const pair = await startCopy()
    const { client, postgres } = pair
    postgres.send(error('P0001', 'raised'))
    await client.expect('ErrorResponse(ERROR P0001 raised)')
    postgres.send(ready())
    await client.expect('ReadyForQuery(I)')
    await expectUsable(pair)
  })
})

test('a statement that follows a COPY of its own, in one write with all of it, does not wait for an answer to the ignored Sync', async () => {
  const { client, postgres } = await startPair()
  client.send(
    ...[parse('load', 'copy t from stdin'), bind('', 'load'), execute(), copyData('1\n'), sync, copyDone],
    ...[closeStatement('load'), sync],
  )
  await postgres.expect('Parse', 'Bind', 'Execute', 'CopyData', 'Sync', 'CopyDone')
  // PostgreSQL keeps the end of the COPY back until the next Sync.
  postgres.send(parseComplete, bindComplete, copyIn())
  await postgres.expect('Sync')
  postgres.send(complete('COPY 1'), ready())
  await client.expect(
    ...['ParseComplete', 'BindComplete', 'CopyInResponse', 'CommandComplete(COPY 1)', 'CloseComplete'],
    'ReadyForQuery(I)',
  )
})

test('unsolicited COPY data is dropped and takes no server', async () => {
  const pair = await startPair()
  const { flow, client, postgres } = pair
  client.send(copyData('1\n'), copyDone, copyFail('no'))
  await client.expectNothing()
  await postgres.expectNothing()
  expect(flow.counts()).toEqual({ idle: 1 })
  client.send(copyData('2\n'), query('select 1'))
  await postgres.expect('Query(select 1)')
  postgres.send(rows('1'), ready())
  expect(await client.answer()).toContain('DataRow(1)')
  await expectUsable(pair)
})

test('unsolicited COPY data before a request that has to wait is dropped', async () => {
  const { flow, client, postgres } = await startPair({ settings: { default_pool_size: 1 } })
  client.send(query('one'))
  await postgres.expect('Query(one)')
  const other = await flow.connect()
  other.send(copyData('1\n'), copyDone, query('two'))
  await flow.expectCounts({ leased: 1, waiting: 1 })
  postgres.send(rows('1'), ready())
  await client.answer()
  await postgres.expect('Query(two)')
  postgres.send(rows('2'), ready())
  expect(await other.answer()).toContain('DataRow(2)')
})

test('a client that disconnects during COPY costs a server', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(query('copy t from stdin'))
  await postgres.expect('Query')
  postgres.send(copyIn())
  await client.expect('CopyInResponse')
  client.send(copyData('1\n'))
  client.hangUp()
  await postgres.expect('CopyData')
  expect((await flow.postgres.nextCancel()).target).toBe(postgres)
  await postgres.expectClosed()
  await flow.expectCounts({})
})
