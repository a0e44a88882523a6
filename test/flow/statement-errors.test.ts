/** Any failure of a prepared statement is an ordinary error in its place, and undoes what was recorded when the request was sent. */

import { describe, expect, test } from 'vitest'
import { quiet } from '../support/flow/inbox.ts'
import { occupy, prepare, RESULT, startPrepared } from '../support/flow/prepared.ts'
import { bindComplete, closeComplete, complete, error, parseComplete, ready } from '../support/flow/replies.ts'
import { bind, closeStatement, describeStatement, execute, parse, query, sync } from '../support/flow/requests.ts'
import { startPair } from '../support/flow/start.ts'

describe('errors of prepared statements:', () => {
  test('after a Parse that failed, the name is free and the statement is parsed again', async () => {
    const { client, postgres } = await startPair()
    client.send(parse('s1', 'selct'), sync)
    await postgres.expect('Parse(#1, selct)', 'Sync')
    postgres.send(error('42601', 'syntax error'), ready())
    await client.answer()
    client.send(bind('', 's1'), sync)
    await postgres.expect('Bind(, s1)', 'Sync')
    postgres.send(error('26000', 'prepared statement "s1" does not exist'), ready())
    await client.answer()
    client.send(parse('s1', 'selct'), sync)
    await postgres.expect('Parse', 'Sync')
    postgres.send(parseComplete, ready())
    await client.expect('ParseComplete', 'ReadyForQuery(I)')
  })

  test('after a Parse that failed, the name is free even if tables have changed before the answer', async () => {
    const { flow, client, postgres } = await startPair()
    const other = await flow.connect()
    client.send(parse('s1', 'selct'))
    await postgres.expect('Parse(#1, selct)')
    other.send(query('alter table t'))
    const second = await flow.postgres.next()
    await second.expect('Query')
    second.send(complete('ALTER TABLE'), ready())
    await other.answer()
    client.send(describeStatement('s1'), sync)
    await quiet()
    postgres.inbox.take()
    postgres.send(error('42601', 'syntax error'), ready())
    await client.answer()
    client.send(parse('s1', 'select 1'), sync)
    await postgres.expect('Parse(#3, select 1)', 'Sync')
    postgres.send(parseComplete, ready())
    await client.expect('ParseComplete', 'ReadyForQuery(I)')
  })

  test('after a Parse that was skipped, the name is free and the statement is parsed again', async () => {
    const { client, postgres } = await startPair()
    client.send(parse('a', 'selct'), parse('b', 'select 2'), sync)
    await postgres.expect('Parse(#1, selct)', 'Parse(#2, select 2)', 'Sync')
    postgres.send(error('42601', 'syntax error'), ready())
    await client.answer()
    client.send(parse('b', 'select 2'), bind('', 'b'), sync)
    await postgres.expect('Parse(#3, select 2)', 'Bind(, #3)', 'Sync')
    postgres.send(parseComplete, bindComplete, ready())
    await client.expect('ParseComplete', 'BindComplete', 'ReadyForQuery(I)')
  })

  test('if the pooler’s own Parse fails, the Bind gets the error, and the client’s statement remains', async () => {
    const pair = await startPrepared()
    const { flow, client } = pair
    const goOn = await occupy(pair)
    client.send(bind('', 's1'), execute(), sync)
    const second = await flow.postgres.next()
    await second.expect('Parse(#1, select 1)', 'Bind', 'Execute', 'Sync')
    second.send(error('42P01', 'relation does not exist'), ready())
    expect(await client.answer()).toEqual(['ErrorResponse(ERROR 42P01 relation does not exist)', 'ReadyForQuery(I)'])
    client.send(bind('', 's1'), execute(), sync)
    await second.expect('Parse(#1, select 1)', 'Bind', 'Execute', 'Sync')
    second.send(parseComplete, RESULT)
    expect(await client.answer()).toContain('DataRow(1)')
    await goOn()
  })

  test('a duplicate name is error 42P05, the rest of the batch is skipped, and the client may go on', async () => {
    const { client, postgres } = await startPrepared()
    client.send(parse('s1', 'select 2'), bind('', 's1'), execute(), sync, bind('', 's1'), sync)
    await postgres.expect('Close(statement, pgweir_vain)', 'Parse(pgweir_vain, select 2)')
    await quiet()
    postgres.inbox.take()
    postgres.send(closeComplete, parseComplete, error('26000', '"pgweir_never" does not exist'), ready())
    expect(await client.answer()).toEqual([
      'ErrorResponse(ERROR 42P05 prepared statement "s1" already exists)',
      'ReadyForQuery(I)',
    ])
    postgres.send(bindComplete, ready())
    await client.expect('BindComplete', 'ReadyForQuery(I)')
  })

  test('a duplicate name within one batch is error 42P05, after the replies that the server still owes', async () => {
    const { client, postgres } = await startPair()
    client.send(parse('a', 'select 1'), parse('a', 'select 2'), bind('', 'a'), sync)
    await postgres.expect('Parse(#1, select 1)')
    await quiet()
    postgres.inbox.take()
    postgres.send(parseComplete, closeComplete, parseComplete, error('26000', 'never'), ready())
    expect(await client.answer()).toEqual([
      'ParseComplete',
      'ErrorResponse(ERROR 42P05 prepared statement "a" already exists)',
      'ReadyForQuery(I)',
    ])
    client.send(bind('', 'a'), sync)
    await postgres.expect('Bind(, #1)', 'Sync')
    postgres.send(bindComplete, ready())
    await client.expect('BindComplete', 'ReadyForQuery(I)')
  })

  test('a duplicate name makes the transaction fail', async () => {
    const { client, postgres } = await startPrepared()
    client.send(query('begin'))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    client.send(parse('s1', 'select 2'), sync)
    await quiet()
    postgres.inbox.take()
    postgres.send(closeComplete, parseComplete, error('26000', 'never'), ready('E'))
    expect((await client.answer()).at(-1)).toBe('ReadyForQuery(E)')
    client.send(query('rollback'))
    await postgres.expect('Query')
    postgres.send(complete('ROLLBACK'), ready())
    await client.answer()
  })

  test.each([
    ['a name that is taken', []],
    ['a name that is taken in the same batch', [parse('s2', 'select 1')]],
  ])('an error in the text comes before that of %s, as in Postgres', async (_, before) => {
    const { client, postgres } = await startPrepared()
    client.send(...before, parse(before.length === 0 ? 's1' : 's2', 'selct'), sync)
    const tried = ['Close(statement, pgweir_vain)', 'Parse(pgweir_vain, selct)', 'Describe(statement, pgweir_never)']
    await postgres.expect(...tried, 'Sync')
    postgres.send(closeComplete, error('42601', 'syntax error'), ready())
    const told = await client.answer()
    expect(told.slice(before.length)).toEqual(['ErrorResponse(ERROR 42601 syntax error)', 'ReadyForQuery(I)'])
    client.send(bind('', 's1'), sync)
    await postgres.expect('Bind(, #1)', 'Sync')
    postgres.send(bindComplete, ready())
    await client.expect('BindComplete', 'ReadyForQuery(I)')
  })

  test('a duplicate name in a failed transaction is error 25P02, as in Postgres', async () => {
    const { client, postgres } = await startPrepared()
    client.send(query('begin'), query('selct'))
    await postgres.expect('Query', 'Query')
    postgres.send(complete('BEGIN'), ready('T'), error('42601', 'syntax error'), ready('E'))
    await client.answer()
    await client.answer()
    const tried = ['Close(statement, pgweir_vain)', 'Parse(pgweir_vain, select 2)', 'Describe(statement, pgweir_never)']
    client.send(parse('s1', 'select 2'), sync)
    await postgres.expect(...tried, 'Sync')
    postgres.send(closeComplete, error('25P02', 'current transaction is aborted'), ready('E'))
    expect(await client.answer()).toEqual([
      'ErrorResponse(ERROR 25P02 current transaction is aborted)',
      'ReadyForQuery(E)',
    ])
    // Postgres accepts this text even in a failed transaction.
    client.send(parse('s1', 'rollback'), sync)
    await postgres.expect(tried[0] as string, 'Parse(pgweir_vain, rollback)', tried[2] as string, 'Sync')
    postgres.send(closeComplete, parseComplete, error('26000', 'never'), ready('E'))
    expect(await client.answer()).toEqual([
      'ErrorResponse(ERROR 42P05 prepared statement "s1" already exists)',
      'ReadyForQuery(E)',
    ])
    client.send(query('rollback'))
    await postgres.expect('Query')
    postgres.send(complete('ROLLBACK'), ready())
    await client.answer()
  })

  test('an unknown name gets the server’s error 26000 in its place, and the client may go on', async () => {
    const { client, postgres } = await startPrepared()
    client.send(bind('', 's1'), bind('', 'nobody'), execute(), sync)
    await postgres.expect('Bind(, #1)', 'Bind(, nobody)', 'Execute', 'Sync')
    postgres.send(bindComplete, error('26000', 'prepared statement "nobody" does not exist'), ready())
    expect(await client.answer()).toEqual([
      'BindComplete',
      'ErrorResponse(ERROR 26000 prepared statement "nobody" does not exist)',
      'ReadyForQuery(I)',
    ])
  })

  for (const [what, requests] of [
    ['bind', [bind('', 'pgweir_1')]],
    ['describe', [describeStatement('pgweir_1')]],
  ] as const)
    test(`no client can ${what} a shared statement by its name on the server`, async () => {
      const { flow, postgres } = await startPrepared()
      const real = postgres.inbox.all.find((request) => request.name === 'Parse')?.texts[0] as string
      const other = await flow.connect()
      other.send(...requests.map((request) => Buffer.from(request)), sync)
      await quiet()
      expect(postgres.inbox.take().some((request) => request.texts.includes(real) && real === 'pgweir_1')).toBe(false)
      postgres.send(error('26000', 'never'), ready())
      expect((await other.answer())[0]).toContain('26000 prepared statement "pgweir_1" does not exist')
    })

  test('an error contains the client’s name of a statement that was closed before the error came', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    const name = (await prepare(pair, 's1', 'select $1')).texts[0]
    const words = (of: string) => `bind message supplies 0 parameters, but prepared statement "${of}" requires 1`
    client.send(bind('', 's1'), sync, closeStatement('s1'), sync)
    await postgres.expect('Bind(, #1)', 'Sync', 'Sync')
    postgres.send(error('08P01', words(`${name}`)), ready())
    expect((await client.answer())[0]).toBe(`ErrorResponse(ERROR 08P01 ${words('s1')})`)
    postgres.send(ready())
    await client.expect('CloseComplete', 'ReadyForQuery(I)')
  })

  test('a client may use the same names as the pooler', async () => {
    const { client, postgres } = await startPair()
    client.send(parse('pgweir_1', 'select 7'), bind('', 'pgweir_1'), closeStatement('pgweir_1'), sync)
    const sent = await postgres.expect('Parse')
    expect(sent.texts[1]).toBe('select 7')
    await postgres.expect('Bind', 'Sync')
    postgres.send(parseComplete, bindComplete, ready())
    expect(await client.answer()).toEqual(['ParseComplete', 'BindComplete', 'CloseComplete', 'ReadyForQuery(I)'])
  })

  test('a Close of the pooler that was skipped because of an error leaves the statement in use', async () => {
    const pair = await startPrepared({ settings: { max_prepared_statements: 1 } })
    const { client, postgres } = pair
    client.send(bind('', 's1'), parse('s2', 'select 2'), sync)
    await postgres.expect('Bind(, #1)', 'Close(statement, #1)', 'Parse(#2, select 2)', 'Sync')
    postgres.send(error('08P01', 'wrong number of parameters'), ready())
    await client.answer()
    client.send(bind('', 's1'), sync)
    await postgres.expect('Bind(, #1)', 'Sync')
    postgres.send(bindComplete, ready())
    await client.expect('BindComplete', 'ReadyForQuery(I)')
  })

  test('in a failed transaction every Parse goes to Postgres', async () => {
    const { client, postgres } = await startPrepared()
    client.send(query('begin; selct'))
    await postgres.expect('Query')
    postgres.send(error('42601', 'syntax error'), ready('E'))
    await client.answer()
    client.send(parse('s2', 'select 1'), sync)
    await quiet()
    expect(postgres.inbox.take().map((request) => request.name)).toContain('Parse')
    postgres.send(closeComplete, error('25P02', 'current transaction is aborted'), ready('E'))
    expect(await client.answer()).toEqual([
      'ErrorResponse(ERROR 25P02 current transaction is aborted)',
      'ReadyForQuery(E)',
    ])
    client.send(query('rollback'))
    await postgres.expect('Query')
    postgres.send(complete('ROLLBACK'), ready())
    await client.answer()
    client.send(bind('', 's2'), sync)
    await postgres.expect('Bind(, s2)', 'Sync')
    postgres.send(error('26000', 'prepared statement "s2" does not exist'), ready())
    await client.answer()
  })
})
