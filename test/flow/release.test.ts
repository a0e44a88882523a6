/** Rule 2: a server returns to its pool only when nothing of its client is left in it or in transit. */

import { expect, test } from 'vitest'
import { quiet } from '../support/flow/inbox.ts'
import {
  batchRows,
  bindComplete,
  complete,
  copyIn,
  dataRow,
  emptyQuery,
  error,
  notice,
  parseComplete,
  portalSuspended,
  ready,
  rowDescription,
  rows,
} from '../support/flow/replies.ts'
import { batch, bind, copyDone, describePortal, execute, flush, parse, query, sync } from '../support/flow/requests.ts'
import { startPair } from '../support/flow/start.ts'

test('a server returns to its pool once its client has received ReadyForQuery', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(query('select 1'))
  await postgres.expect('Query(select 1)')
  await flow.expectCounts({ leased: 1 })
  postgres.send(rows('1'), ready())
  expect(await client.answer()).toEqual([
    'RowDescription(value)',
    'DataRow(1)',
    'CommandComplete(SELECT 1)',
    'ReadyForQuery(I)',
  ])
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('a server stays with its client while a transaction is open, even a failed one', async () => {
  const { flow, client, postgres } = await startPair()
  for (const [text, status] of [
    ['begin', 'T'],
    ['select nonsense', 'E'],
  ] as const) {
    client.send(query(text))
    await postgres.expect(`Query(${text})`)
    postgres.send(status === 'E' ? error('42703', 'no such column') : complete('BEGIN'), ready(status))
    await client.answer()
    expect(flow.counts()).toEqual({ leased: 1 })
  }
  client.send(query('rollback'))
  await postgres.expect('Query(rollback)')
  postgres.send(complete('ROLLBACK'), ready())
  await client.answer()
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('a server stays with its client until the last of several batches has been answered', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(batch('select 1'), batch('select 2'), query('select 3'))
  await postgres.expect('Parse(, select 1)', 'Bind', 'Execute', 'Sync')
  await postgres.expect('Parse(, select 2)', 'Bind', 'Execute', 'Sync', 'Query(select 3)')
  postgres.send(batchRows('1'))
  await client.answer()
  expect(flow.counts()).toEqual({ leased: 1 })
  postgres.send(batchRows('2'))
  await client.answer()
  expect(flow.counts()).toEqual({ leased: 1 })
  postgres.send(rows('3'), ready())
  expect(await client.answer()).toContain('DataRow(3)')
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('a second query that was sent before the first one was answered keeps the server', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(query('select 1'))
  await postgres.expect('Query(select 1)')
  client.send(query('select 2'))
  await postgres.expect('Query(select 2)')
  postgres.send(rows('1'), ready())
  await client.answer()
  expect(flow.counts()).toEqual({ leased: 1 })
  postgres.send(rows('2'), ready())
  await client.answer()
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('a batch that was flushed and answered but not synced keeps the server, since its transaction is still open', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(parse('', 'select 1'), bind('', ''), describePortal(), execute(), flush)
  await postgres.expect('Parse', 'Bind', 'Describe', 'Execute', 'Flush')
  postgres.send(parseComplete, bindComplete, rowDescription('value'), dataRow('1'), complete('SELECT 1'))
  await client.expect('ParseComplete', 'BindComplete', 'RowDescription', 'DataRow(1)', 'CommandComplete(SELECT 1)')
  await quiet()
  expect(flow.counts()).toEqual({ leased: 1 })
  client.send(sync)
  await postgres.expect('Sync')
  postgres.send(ready())
  await client.expect('ReadyForQuery(I)')
  expect(flow.counts()).toEqual({ idle: 1 })
})

for (const [what, requests, replies] of [
  ['Parse', [parse('', 'select 1')], [parseComplete]],
  ['Parse and Bind', [parse('', 'select 1'), bind('', '')], [parseComplete, bindComplete]],
] as const)
  test(`the server stays after ${what} and Flush, and the rest of the batch goes to the same one`, async () => {
    const { flow, client, postgres } = await startPair()
    client.send(...requests, flush)
    await postgres.expect(...(requests.length === 1 ? ['Parse'] : ['Parse', 'Bind']), 'Flush')
    postgres.send(...replies)
    await quiet()
    client.inbox.take()
    expect(flow.counts()).toEqual({ leased: 1 })
    client.send(...(requests.length === 1 ? [bind('', '')] : []), execute(), sync)
    await postgres.expect(...(requests.length === 1 ? ['Bind'] : []), 'Execute', 'Sync')
    postgres.send(...(requests.length === 1 ? [bindComplete] : []), dataRow('1'), complete('SELECT 1'), ready())
    expect((await client.answer()).at(-1)).toBe('ReadyForQuery(I)')
    expect(flow.counts()).toEqual({ idle: 1 })
    await flow.postgres.expectNoMore()
  })

test('a Parse and Flush of a named statement that the server already has keeps no server', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(parse('s1', 'select 1'), sync)
  await postgres.expect('Parse', 'Sync')
  postgres.send(parseComplete, ready())
  await client.answer()
  client.send(parse('s2', 'select 1'), flush)
  await client.expect('ParseComplete')
  await quiet()
  postgres.inbox.take()
  client.send(sync)
  await postgres.expect('Sync')
  postgres.send(ready())
  await client.expect('ReadyForQuery(I)')
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('a suspended portal keeps the server until the end of its batch', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(parse('', 'select n'), bind('p', ''), execute('p', 2), flush)
  await postgres.expect('Parse', 'Bind', 'Execute(p, 2)', 'Flush')
  postgres.send(parseComplete, bindComplete, dataRow('1'), dataRow('2'), portalSuspended)
  await client.expect('ParseComplete', 'BindComplete', 'DataRow(1)', 'DataRow(2)', 'PortalSuspended')
  await quiet()
  expect(flow.counts()).toEqual({ leased: 1 })
  client.send(execute('p', 2), sync)
  await postgres.expect('Execute(p, 2)', 'Sync')
  postgres.send(dataRow('3'), complete('SELECT 1'), ready())
  await client.expect('DataRow(3)', 'CommandComplete(SELECT 1)', 'ReadyForQuery(I)')
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('an error in a batch keeps the server until the Sync has been answered', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(parse('', 'selct'), flush)
  await postgres.expect('Parse', 'Flush')
  postgres.send(error('42601', 'syntax error'))
  await client.expect('ErrorResponse(ERROR 42601 syntax error)')
  await quiet()
  expect(flow.counts()).toEqual({ leased: 1 })
  client.send(bind('', ''), execute(), sync)
  postgres.send(ready())
  await client.expect('ReadyForQuery(I)')
  expect(flow.counts()).toEqual({ idle: 1 })
  expect(postgres.inbox.take().at(-1)?.name).toBe('Sync')
})

test('an open COPY keeps the server', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(query('copy t from stdin'))
  await postgres.expect('Query')
  postgres.send(copyIn())
  await client.expect('CopyInResponse')
  await quiet()
  expect(flow.counts()).toEqual({ leased: 1 })
  client.send(copyDone)
  await postgres.expect('CopyDone')
  postgres.send(complete('COPY 0'), ready())
  await client.answer()
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('a message of the server that has arrived in part keeps the server', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(query('select 1'))
  await postgres.expect('Query')
  const late = notice('a word at the end')
  postgres.send(rows('1'), ready(), late.subarray(0, 9))
  expect(await client.answer()).toContain('DataRow(1)')
  await quiet()
  expect(flow.counts()).toEqual({ leased: 1 })
  postgres.send(late.subarray(9))
  await client.expect('NoticeResponse(a word at the end)')
  await quiet()
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('a complete reply that the client has not yet read keeps the server', async () => {
  const { flow, client, postgres } = await startPair({ windowBytes: 256 })
  client.stopReading()
  for (const round of ['1', '2']) {
    await flow.expectCounts({ idle: 1 })
    client.send(query(`select ${round}`))
    await postgres.expect('Query')
    postgres.send(rows(round.repeat(100)), ready())
    await quiet()
  }
  expect(postgres.channel.owedBytes).toBe(0)
  expect(flow.counts()).toEqual({ leased: 1 })
  client.startReading()
  await client.answer()
  await client.answer()
  await flow.expectCounts({ idle: 1 })
})

test('a request that has been forwarded in part keeps the server', async () => {
  const { flow, client, postgres } = await startPair()
  const long = query(`select ${'x'.repeat(500)}`)
  client.send(query('select 1'), long.subarray(0, 100))
  await postgres.expect('Query')
  postgres.send(rows('1'), ready())
  await client.answer()
  await quiet()
  expect(flow.counts()).toEqual({ leased: 1 })
  client.send(long.subarray(100))
  await postgres.expect('Query')
  postgres.send(emptyQuery, ready())
  await client.answer()
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('the first bytes of a request take no server', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(query('select 1').subarray(0, 4))
  await quiet()
  expect(flow.counts()).toEqual({ idle: 1 })
  client.send(query('select 1').subarray(4))
  await postgres.expect('Query(select 1)')
  postgres.send(rows('1'), ready())
  await client.answer()
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('a Parse whose text is still arriving takes no server', async () => {
  const { flow, client, postgres } = await startPair()
  const long = parse('s1', `select ${'x'.repeat(500)}`)
  client.send(long.subarray(0, 100))
  await quiet()
  expect(flow.counts()).toEqual({ idle: 1 })
  client.send(long.subarray(100), sync)
  await postgres.expect('Parse', 'Sync')
  postgres.send(parseComplete, ready())
  await client.answer()
  expect(flow.counts()).toEqual({ idle: 1 })
})
