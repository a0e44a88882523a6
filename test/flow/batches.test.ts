/** Rule 3: each request that is sent owes a reply, and an error in a batch drops the replies that will never come. */

import { expect, test } from 'vitest'
import { quiet } from '../support/flow/inbox.ts'
import {
  batchRows,
  bindComplete,
  complete,
  dataRow,
  error,
  functionResult,
  noData,
  parseComplete,
  ready,
  rows,
} from '../support/flow/replies.ts'
import {
  batch,
  bind,
  describePortal,
  describeStatement,
  execute,
  flush,
  functionCall,
  parse,
  query,
  sync,
} from '../support/flow/requests.ts'
import { startPair } from '../support/flow/start.ts'

const SYNTAX = error('42601', 'syntax error')

test('after an error the rest of the batch is skipped, and the next batch is answered as usual', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(batch('selct'), batch('select 2'))
  await postgres.expect('Parse', 'Bind', 'Execute', 'Sync', 'Parse', 'Bind', 'Execute', 'Sync')
  postgres.send(SYNTAX, ready(), batchRows('2'))
  expect(await client.answer()).toEqual(['ErrorResponse(ERROR 42601 syntax error)', 'ReadyForQuery(I)'])
  expect(await client.answer()).toContain('DataRow(2)')
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('each of several batches may fail on its own', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(batch('one'), batch('two'), batch('three'))
  await quiet()
  postgres.send(SYNTAX, ready(), parseComplete, error('22012', 'division by zero'), ready(), batchRows('3'))
  expect(await client.answer()).toEqual(['ErrorResponse(ERROR 42601 syntax error)', 'ReadyForQuery(I)'])
  expect(await client.answer()).toEqual([
    'ParseComplete',
    'ErrorResponse(ERROR 22012 division by zero)',
    'ReadyForQuery(I)',
  ])
  expect(await client.answer()).toContain('DataRow(3)')
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('requests that follow an error before the Sync are not answered, whatever they are', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(parse('', 'selct'), flush)
  await postgres.expect('Parse', 'Flush')
  postgres.send(SYNTAX)
  await client.expect('ErrorResponse')
  client.send(query('select 1'), functionCall(1), parse('s1', 'select 1'), describeStatement('s1'), flush)
  await client.expectNothing()
  client.send(sync)
  await quiet()
  expect(postgres.inbox.take().at(-1)?.shown).toBe('Sync')
  postgres.send(ready())
  await client.expect('ReadyForQuery(I)')
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('messages that were on their way when the error came are skipped with it', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(parse('', 'selct'), bind('', ''), execute(), query('select 1'), functionCall(1), parse('', 'select 2'))
  await postgres.expect('Parse', 'Bind', 'Execute', 'Query', 'FunctionCall', 'Parse')
  postgres.send(SYNTAX)
  await client.expect('ErrorResponse')
  client.send(sync, query('select 3'))
  await postgres.expect('Sync', 'Query(select 3)')
  postgres.send(ready(), rows('3'), ready())
  await client.expect('ReadyForQuery(I)')
  expect(await client.answer()).toContain('DataRow(3)')
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('an error of Sync itself (a deferred constraint) is followed by ReadyForQuery', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(batch('insert'), batch('select 2'))
  await quiet()
  postgres.send(parseComplete, bindComplete, complete('INSERT 0 1'), error('23503', 'foreign key'), ready())
  postgres.send(batchRows('2'))
  expect(await client.answer()).toEqual([
    'ParseComplete',
    'BindComplete',
    'CommandComplete(INSERT 0 1)',
    'ErrorResponse(ERROR 23503 foreign key)',
    'ReadyForQuery(I)',
  ])
  expect(await client.answer()).toContain('DataRow(2)')
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('a Query inside a batch is answered in its place and ends the batch', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(parse('', 'select 1'), bind('', ''), execute(), query('select 2'))
  await postgres.expect('Parse', 'Bind', 'Execute', 'Query')
  postgres.send(parseComplete, bindComplete, dataRow('1'), complete('SELECT 1'), rows('2'), ready())
  expect(await client.answer()).toEqual([
    'ParseComplete',
    'BindComplete',
    'DataRow(1)',
    'CommandComplete(SELECT 1)',
    'RowDescription(value)',
    'DataRow(2)',
    'CommandComplete(SELECT 1)',
    'ReadyForQuery(I)',
  ])
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('a Query that fails inside a batch skips nothing behind it', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(parse('', 'select 1'), query('selct'), bind('', ''), execute(), sync)
  await quiet()
  postgres.send(parseComplete, SYNTAX, ready(), error('26000', 'unnamed prepared statement does not exist'), ready())
  expect(await client.answer()).toEqual([
    'ParseComplete',
    'ErrorResponse(ERROR 42601 syntax error)',
    'ReadyForQuery(I)',
  ])
  expect(await client.answer()).toHaveLength(2)
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('a multi-statement query is one request with one end', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(query('select 1; select 2; selct'))
  await postgres.expect('Query')
  postgres.send(rows('1'))
  await client.expect('RowDescription', 'DataRow(1)', 'CommandComplete')
  expect(flow.counts()).toEqual({ leased: 1 })
  postgres.send(rows('2'), SYNTAX)
  await client.expect('RowDescription', 'DataRow(2)', 'CommandComplete', 'ErrorResponse')
  expect(flow.counts()).toEqual({ leased: 1 })
  postgres.send(ready())
  await client.expect('ReadyForQuery(I)')
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('FunctionCall is answered, and its error too', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(functionCall(1598), functionCall(9))
  await postgres.expect('FunctionCall(1598)', 'FunctionCall(9)')
  postgres.send(functionResult('0.5'), ready(), error('42883', 'no such function'), ready())
  expect((await client.answer())[0]).toMatch(/^FunctionCallResponse/)
  expect(await client.answer()).toEqual(['ErrorResponse(ERROR 42883 no such function)', 'ReadyForQuery(I)'])
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('a lone Sync is a request of its own', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(sync, sync)
  await postgres.expect('Sync', 'Sync')
  postgres.send(ready(), ready())
  await client.expect('ReadyForQuery(I)', 'ReadyForQuery(I)')
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('a lone Flush takes no server and gets no answer', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(flush)
  await client.expectNothing()
  await postgres.expectNothing()
  expect(flow.counts()).toEqual({ idle: 1 })
})

test('Describe of a portal may be answered with NoData', async () => {
  const { client, postgres } = await startPair()
  client.send(parse('', 'insert'), bind('', ''), describePortal(), execute(), sync)
  await quiet()
  postgres.inbox.take()
  postgres.send(parseComplete, bindComplete, noData, complete('INSERT 0 1'), ready())
  expect(await client.answer()).toEqual([
    'ParseComplete',
    'BindComplete',
    'NoData',
    'CommandComplete(INSERT 0 1)',
    'ReadyForQuery(I)',
  ])
})

for (const [what, name, request, reply] of [
  ['a simple query', 'Query', query('select 2'), rows('2')],
  ['a function call', 'FunctionCall', functionCall(1250), functionResult('2')],
] as const)
  test(`a server on which ${what} within a batch has left a transaction open does not go to the next client`, async () => {
    const { flow, client, postgres } = await startPair()
    client.send(parse('', 'select 1'), bind('', ''), execute(), request, sync)
    await postgres.expect('Parse', 'Bind', 'Execute', name, 'Sync')
    // In PostgreSQL 18 the Sync does not end the transaction, although the ReadyForQuery says so.
    postgres.send(parseComplete, bindComplete, dataRow('1'), complete('SELECT 1'), reply, ready('T'), ready())
    expect((await client.answer()).at(-1)).toBe('ReadyForQuery(T)')
    expect(await client.answer()).toEqual(['ReadyForQuery(I)'])
    await postgres.expectClosed()
    expect(flow.counts()).toEqual({})
  })

test('a server whose batch was ended by a simple query is used again', async () => {
  const { flow, client, postgres } = await startPair()
  client.send(parse('', 'select 1'), bind('', ''), execute(), query('select 2'), sync)
  await postgres.expect('Parse', 'Bind', 'Execute', 'Query', 'Sync')
  postgres.send(parseComplete, bindComplete, dataRow('1'), complete('SELECT 1'), rows('2'), ready(), ready())
  await client.answer()
  await client.answer()
  client.send(query('begin'), parse('', 'select 1'), bind('', ''), execute(), query('select 2'), sync, query('commit'))
  await postgres.expect('Query', 'Parse', 'Bind', 'Execute', 'Query', 'Sync', 'Query')
  postgres.send(complete('BEGIN'), ready('T'), parseComplete, bindComplete, dataRow('1'), complete('SELECT 1'))
  postgres.send(rows('2'), ready('T'), ready('T'), complete('COMMIT'), ready())
  for (let answers = 4; answers > 0; answers--) await client.answer()
  expect(flow.counts()).toEqual({ idle: 1 })
})
