/** auto_prepare never changes which text a client's unnamed statement has, whatever fails, is skipped or is still unanswered. */

import { describe, expect, test } from 'vitest'
import { ANSWER, keep, PARSED_RESULT, startKept } from '../support/flow/auto-prepared.ts'
import { quiet } from '../support/flow/inbox.ts'
import { RESULT } from '../support/flow/prepared.ts'
import {
  bindComplete,
  complete,
  dataRow,
  error,
  functionResult,
  parameterStatus,
  parseComplete,
  ready,
} from '../support/flow/replies.ts'
import {
  batch,
  bind,
  closeStatement,
  execute,
  flush,
  functionCall,
  parse,
  query,
  sync,
} from '../support/flow/requests.ts'
import type { Pair } from '../support/flow/start.ts'

const SYNTAX_ERROR = error('42601', 'syntax error')

/** Has the server keep `select 2` as #2, and the client prepare it as its statement `two`. */
async function keepTwo(pair: Pair) {
  const { client, postgres } = pair
  await keep(pair, 'select 2', 2)
  client.send(parse('two', 'select 2'), sync)
  await postgres.expect('Sync')
  postgres.send(ready())
  await client.answer()
}

describe('auto_prepare, in one batch:', () => {
  test('several statements are answered in their order', async () => {
    const pair = await startKept()
    const { client, postgres } = pair
    await keep(pair, 'select 2', 2)
    client.send(parse('', 'select 1'), bind('', ''), execute(), batch('select 2'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Bind(, #2)', 'Execute', 'Sync')
    await client.expectNothing()
    postgres.send(bindComplete, dataRow('1'), complete('SELECT 1'))
    await client.expect('ParseComplete', 'BindComplete', 'DataRow(1)', 'CommandComplete', 'ParseComplete')
    postgres.send(RESULT)
    expect(await client.answer()).toEqual(ANSWER.slice(1))
  })

  test('a text that is prepared on its second Parse is used for both', async () => {
    const { client, postgres } = await startKept()
    client.send(parse('', 'select 2'), parse('', 'select 2'), bind('', ''), execute(), batch('select 2'))
    await postgres.expect('Parse(, select 2)', 'Parse(#2, select 2)', 'Bind(, #2)', 'Execute', 'Bind(, #2)')
    await postgres.expect('Execute', 'Sync')
    postgres.send(parseComplete, parseComplete, bindComplete, dataRow('1'), complete('SELECT 1'), RESULT)
    expect(await client.answer()).toEqual(['ParseComplete', ...ANSWER.slice(0, 4), ...ANSWER])
  })

  test('requests after an error are skipped, and so are the pooler’s own answers to them', async () => {
    const { client, postgres } = await startKept()
    client.send(parse('', 'select 1'), bind('', ''), execute(), batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Bind(, #1)', 'Execute', 'Sync')
    postgres.send(bindComplete, error('22012', 'division by zero'), ready())
    expect(await client.answer()).toEqual([
      'ParseComplete',
      'BindComplete',
      'ErrorResponse(ERROR 22012 division by zero)',
      'ReadyForQuery(I)',
    ])
  })

  /** Sends requests that are skipped after an error. Afterwards the client's unnamed statement must be what it was before: `select 1`. */
  async function expectUntouched({ client, postgres }: Pair, ...skipped: readonly Buffer[]) {
    client.send(parse('', 'select 1'), sync)
    await postgres.expect('Sync')
    postgres.send(ready())
    await client.answer()
    client.send(bind('', 'two'), ...skipped, sync)
    await quiet()
    postgres.inbox.take()
    postgres.send(error('08P01', 'wrong number of parameters'), ready())
    expect(await client.answer()).toEqual(['ErrorResponse(ERROR 08P01 wrong number of parameters)', 'ReadyForQuery(I)'])
    client.send(bind('', ''), execute(), sync)
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(RESULT)
    expect(await client.answer()).toEqual(ANSWER.slice(1))
  }

  test.each([
    ['a Parse of another text that the server keeps', [parse('', 'select 2')]],
    ['a Parse of a text that the server does not keep', [parse('', 'show all')]],
    ['a Parse of the same text', [parse('', 'select 1')]],
    ['a Close', [closeStatement('')]],
    ['a simple query', [query('select 3')]],
    ['all of them', [parse('', 'select 2'), query('select 3'), closeStatement(''), parse('', 'show all')]],
  ])('after an error, %s is skipped and leaves the unnamed statement as it was', async (_, skipped) => {
    const pair = await startKept()
    await keepTwo(pair)
    await expectUntouched(pair, ...skipped)
    await expectUntouched(pair, ...skipped)
  })

  test('a statement whose preparation was skipped is prepared again at its next use', async () => {
    const pair = await startKept()
    const { client, postgres } = pair
    client.send(batch('select 2'))
    await postgres.expect('Parse(, select 2)', 'Bind', 'Execute', 'Sync')
    postgres.send(PARSED_RESULT)
    await client.answer()
    client.send(parse('bad', 'selct'), batch('select 2'))
    await postgres.expect('Parse(#2, selct)', 'Parse(#3, select 2)', 'Bind(, #3)', 'Execute', 'Sync')
    postgres.send(SYNTAX_ERROR, ready())
    await client.answer()
    client.send(batch('select 2'))
    await postgres.expect('Parse(#4, select 2)', 'Bind(, #4)', 'Execute', 'Sync')
    postgres.send(PARSED_RESULT)
    expect(await client.answer()).toEqual(ANSWER)
  })
})

describe('auto_prepare, behind a batch that is not answered yet:', () => {
  test('a kept statement is used, since it cannot have been lost', async () => {
    const { client, postgres } = await startKept()
    client.send(batch('select 1'), batch('select 1'), batch('select 1'))
    for (let times = 3; times > 0; times--) await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(RESULT, error('22012', 'division by zero'), ready(), RESULT)
    expect(await client.answer()).toEqual(ANSWER)
    expect(await client.answer()).toEqual([
      'ParseComplete',
      'ErrorResponse(ERROR 22012 division by zero)',
      'ReadyForQuery(I)',
    ])
    expect(await client.answer()).toEqual(ANSWER)
  })

  test('a statement whose preparation may have failed is sent unchanged', async () => {
    const { client, postgres } = await startKept()
    client.send(batch('select 2'))
    await postgres.expect('Parse(, select 2)', 'Bind', 'Execute', 'Sync')
    postgres.send(PARSED_RESULT)
    await client.answer()
    client.send(batch('select 2'), batch('select 2'))
    await postgres.expect('Parse(#2, select 2)', 'Bind(, #2)', 'Execute', 'Sync')
    const names = [await postgres.inbox.next(), await postgres.inbox.next(), await postgres.inbox.next()]
    expect(names.map(({ name }) => name).slice(0, 2)).toEqual(['Close', 'Parse'])
    await quiet()
    postgres.inbox.take()
    postgres.send(error('42P01', 'no such table'), ready(), Buffer.from('3\0\0\0\x04', 'latin1'), PARSED_RESULT)
    expect((await client.answer())[0]).toContain('42P01')
    expect(await client.answer()).toEqual(ANSWER)
  })

  test.each([
    ['a SET', 'set timezone = utc', 'SET'],
    ['a COMMIT, which may restore settings', 'commit', 'COMMIT'],
    ['a SELECT INTO or CREATE TABLE AS', 'create table t as select 1', 'SELECT 1'],
    ['a DDL command', 'alter table t add a int', 'ALTER TABLE'],
    ['a BEGIN, since the transaction may have failed', 'begin', 'BEGIN'],
  ])('after %s, texts are sent unchanged', async (_, text, tag) => {
    const { client, postgres } = await startKept()
    client.send(batch(text), batch('select 1'))
    await postgres.expect(`Parse(, ${text})`, 'Bind(, )', 'Execute', 'Sync')
    await postgres.expect('Parse(, select 1)', 'Bind(, )', 'Execute', 'Sync')
    postgres.send(parseComplete, bindComplete, complete(tag), ready(), PARSED_RESULT)
    await client.answer()
    expect(await client.answer()).toEqual(ANSWER)
  })

  test('after a simple query, texts are sent unchanged', async () => {
    const { client, postgres } = await startKept()
    client.send(query('set timezone = utc'), batch('select 1'))
    await postgres.expect('Query', 'Parse(, select 1)', 'Bind(, )', 'Execute', 'Sync')
    postgres.send(complete('SET'), ready(), PARSED_RESULT)
    await client.answer()
    expect(await client.answer()).toEqual(ANSWER)
  })

  test.each([
    ['under a name', 'set'],
    ['without a name', ''],
  ])('after a SET that was parsed earlier %s, texts are sent unchanged', async (_, name) => {
    const { client, postgres } = await startKept()
    client.send(parse(name, 'set timezone = utc'), sync)
    await postgres.expect('Parse', 'Sync')
    postgres.send(parseComplete, ready())
    await client.answer()
    client.send(bind('', name), execute(), sync, batch('select 1'))
    await postgres.expect('Bind', 'Execute', 'Sync', 'Parse(, select 1)', 'Bind(, )', 'Execute', 'Sync')
    postgres.send(bindComplete, complete('SET'), ready(), PARSED_RESULT)
    await client.answer()
    expect(await client.answer()).toEqual(ANSWER)
  })

  test('within a transaction, which may have failed, texts are sent unchanged', async () => {
    const { client, postgres } = await startKept()
    client.send(query('begin'))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    client.send(batch('select 1'), batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync', 'Parse(, select 1)', 'Bind(, )', 'Execute', 'Sync')
    postgres.send(error('22012', 'division by zero'), ready('E'), error('25P02', 'aborted'), ready('E'))
    expect(await client.answer()).toHaveLength(3)
    expect(await client.answer()).toEqual(['ErrorResponse(ERROR 25P02 aborted)', 'ReadyForQuery(E)'])
    client.send(query('rollback'))
    await postgres.expect('Query')
    postgres.send(complete('ROLLBACK'), ready())
    await client.answer()
  })

  test('in the same batch as a SET, texts are sent unchanged', async () => {
    const { client, postgres } = await startKept()
    client.send(parse('', 'set timezone = utc'), bind('', ''), execute(), batch('select 1'))
    await postgres.expect('Parse', 'Bind(, )', 'Execute', 'Parse(, select 1)', 'Bind(, )', 'Execute', 'Sync')
    postgres.send(parseComplete, bindComplete, complete('SET'), PARSED_RESULT)
    await client.answer()
  })

  test('in the same batch as an answered SET, texts are sent unchanged, since the setting is reported only at Sync', async () => {
    const { client, postgres } = await startKept()
    client.send(parse('', 'set timezone = utc'), bind('', ''), execute(), flush)
    await postgres.expect('Parse', 'Bind(, )', 'Execute', 'Flush')
    postgres.send(parseComplete, bindComplete, complete('SET'))
    await client.expect('ParseComplete', 'BindComplete', 'CommandComplete(SET)')
    client.send(batch('select 1'))
    await postgres.expect('Parse(, select 1)', 'Bind(, )', 'Execute', 'Sync')
    postgres.send(
      parseComplete,
      bindComplete,
      dataRow('1'),
      complete('SELECT 1'),
      parameterStatus('TimeZone', 'UTC'),
      ready(),
    )
    await client.answer()
  })

  test.each([
    ['a named portal', 'later'],
    ['the unnamed portal', ''],
  ])('after a SET that was bound to %s in an earlier batch, texts are sent unchanged', async (_, portal) => {
    const { client, postgres } = await startKept()
    client.send(query('begin'))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    client.send(parse('', 'set timezone = utc'), bind(portal, ''), sync)
    await postgres.expect('Parse', `Bind(${portal}, )`, 'Sync')
    postgres.send(parseComplete, bindComplete, ready('T'))
    await client.answer()
    client.send(execute(portal), batch('select 1'))
    await postgres.expect('Execute', 'Parse(, select 1)', 'Bind(, )', 'Execute', 'Sync')
    postgres.send(complete('SET'), PARSED_RESULT)
    expect(await client.answer()).toHaveLength(6)
    client.send(query('commit'))
    await postgres.expect('Query')
    postgres.send(complete('COMMIT'), ready())
    await client.answer()
  })

  test('after a function call, texts are sent unchanged', async () => {
    const { client, postgres } = await startKept()
    client.send(functionCall(2078), batch('select 1'))
    await postgres.expect('FunctionCall', 'Parse(, select 1)', 'Bind(, )', 'Execute', 'Sync')
    postgres.send(functionResult('utc'), parameterStatus('TimeZone', 'UTC'), ready(), PARSED_RESULT)
    await client.answer()
    expect(await client.answer()).toEqual(ANSWER)
  })

  test('an unnamed statement that depends on an unanswered batch is bound only after its answer', async () => {
    const pair = await startKept()
    const { client, postgres } = pair
    await keepTwo(pair)
    client.send(parse('', 'select 2'), sync)
    await postgres.expect('Sync')
    postgres.send(ready())
    await client.answer()
    client.send(bind('', 'two'), parse('', 'select 1'), sync, bind('', ''), execute(), sync)
    await postgres.expect('Bind(, #2)', 'Sync')
    await postgres.expectNothing()
    postgres.send(error('08P01', 'wrong number of parameters'), ready())
    await client.answer()
    await postgres.expect('Bind(, #2)', 'Execute', 'Sync')
    postgres.send(RESULT)
    expect(await client.answer()).toEqual(ANSWER.slice(1))
  })
})

test('a client that leaves between a Parse that the pooler answered and its Bind costs no server', async () => {
  const { flow, client } = await startKept()
  client.send(parse('', 'select 1'))
  await client.expect('ParseComplete')
  client.vanish()
  await flow.expectCounts({ idle: 1 })
})
