/** Prepared statements follow a client from server to server, under shared names. */

import { describe, expect, test } from 'vitest'
import { quiet } from '../support/flow/inbox.ts'
import { ask, occupy, prepare, RESULT, startPrepared } from '../support/flow/prepared.ts'
import {
  bindComplete,
  closeComplete,
  complete,
  dataRow,
  error,
  noData,
  parameterDescription,
  parameterStatus,
  parseComplete,
  ready,
  rowDescription,
} from '../support/flow/replies.ts'
import {
  bind,
  closePortal,
  closeStatement,
  describePortal,
  describeStatement,
  execute,
  flush,
  parse,
  query,
  sync,
} from '../support/flow/requests.ts'
import { startPair } from '../support/flow/start.ts'

describe('a named statement', () => {
  test('has a pooler-generated name on the server, in every message that names it', async () => {
    const { client, postgres } = await startPair()
    client.send(
      parse('s1', 'select $1', [23]),
      describeStatement('s1'),
      bind('p', 's1', '5', null),
      describePortal('p'),
      execute('p'),
      sync,
    )
    const sent = await postgres.expect('Parse(#1, select $1)')
    expect(sent.bytes.toString('latin1')).toContain('select $1\0\0\x01\0\0\0\x17')
    await postgres.expect(
      'Describe(statement, #1)',
      'Bind(p, #1, 5, null)',
      'Describe(portal, p)',
      'Execute(p)',
      'Sync',
    )
    postgres.send(parseComplete, parameterDescription(23), rowDescription('value'))
    postgres.send(bindComplete, rowDescription('value'), dataRow('5'), complete('SELECT 1'), ready())
    await client.expect('ParseComplete', 'ParameterDescription(23)', 'RowDescription', 'BindComplete', 'RowDescription')
    await client.expect('DataRow(5)', 'CommandComplete(SELECT 1)', 'ReadyForQuery(I)')
  })

  test('is used without another Parse if the server has it', async () => {
    const { client, postgres } = await startPrepared()
    for (let round = 0; round < 3; round++) {
      client.send(bind('', 's1'), execute(), sync)
      await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
      postgres.send(RESULT)
      await client.expect('BindComplete', 'DataRow(1)', 'CommandComplete', 'ReadyForQuery(I)')
    }
  })

  test('is not shared if it may have such a constant, with standard_conforming_strings off', async () => {
    const pair = await startPair()
    const text = "select 'it\\'s', 'today'::date"
    pair.client.send(query('set standard_conforming_strings = off'))
    await pair.postgres.expect('Query')
    pair.postgres.send(complete('SET'), parameterStatus('standard_conforming_strings', 'off'), ready())
    await pair.client.answer()
    expect((await prepare(pair, 's1', text)).shown).toBe(`Parse(#1, ${text})`)
    expect((await prepare(pair, 's2', text)).shown).toBe(`Parse(#2, ${text})`)
  })

  test('is shared even if a string ends with a backslash, with standard_conforming_strings on', async () => {
    const pair = await startPair()
    const { flow, postgres } = pair
    const text = "select a from t where a like $1 escape '\\'"
    await prepare(pair, 's1', text)
    const other = await flow.connect()
    other.send(parse('s1', text), bind('', 's1', 'a%'), execute(), sync)
    await postgres.expect('Bind(, #1, a%)', 'Execute', 'Sync')
    postgres.send(RESULT)
    expect(await other.answer()).toContain('DataRow(1)')
  })

  test("is not shared if it has a constant that Postgres evaluates at Parse, such as 'today'", async () => {
    const pair = await startPair()
    const text = "select 'today'::date"
    expect((await prepare(pair, 's1', text)).shown).toBe(`Parse(#1, ${text})`)
    const other = await pair.flow.connect()
    expect((await prepare({ client: other, postgres: pair.postgres }, 's1', text)).shown).toBe(`Parse(#2, ${text})`)
    expect((await prepare(pair, 's2', text)).shown).toBe(`Parse(#3, ${text})`)
    other.send(bind('', 's1'), execute(), sync)
    await pair.postgres.expect('Bind(, #2)', 'Execute', 'Sync')
    pair.postgres.send(RESULT)
    expect(await other.answer()).toContain('DataRow(1)')
  })

  test('is prepared on another server before its first Bind there, without the client noticing', async () => {
    const pair = await startPrepared()
    const { flow, client } = pair
    const goOn = await occupy(pair)
    client.send(bind('', 's1'), execute(), sync)
    const second = await flow.postgres.next()
    await second.expect('Parse(#1, select 1)', 'Bind(, #1)', 'Execute', 'Sync')
    second.send(parseComplete, RESULT)
    expect(await client.answer()).toEqual([
      'BindComplete',
      'DataRow(1)',
      'CommandComplete(SELECT 1)',
      'ReadyForQuery(I)',
    ])
    await goOn()
  })

  test('is prepared on another server before its first Describe there', async () => {
    const pair = await startPrepared()
    const { flow, client } = pair
    const goOn = await occupy(pair)
    client.send(describeStatement('s1'), sync)
    const second = await flow.postgres.next()
    await second.expect('Parse(#1, select 1)', 'Describe(statement, #1)', 'Sync')
    second.send(parseComplete, parameterDescription(), noData, ready())
    expect(await client.answer()).toEqual(['ParameterDescription()', 'NoData', 'ReadyForQuery(I)'])
    await goOn()
  })

  test('is shared with another client if text and parameter types are the same', async () => {
    const pair = await startPrepared()
    const { flow, postgres } = pair
    const other = await flow.connect()
    other.send(parse('mine', 'select 1'), bind('', 'mine'), execute(), sync)
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(RESULT)
    expect((await other.answer())[0]).toBe('ParseComplete')
    other.send(parse('typed', 'select 1', [23]), sync)
    await postgres.expect('Parse(#2, select 1)', 'Sync')
    postgres.send(parseComplete, ready())
    await other.answer()
  })

  test('may have the same name as another client’s', async () => {
    const pair = await startPrepared()
    const { flow, client, postgres } = pair
    const other = await flow.connect()
    await prepare({ client: other, postgres }, 's1', 'select 2')
    client.send(bind('', 's1'), sync)
    await postgres.expect('Bind(, #1)', 'Sync')
    postgres.send(bindComplete, ready())
    await client.answer()
    other.send(bind('', 's1'), sync)
    await postgres.expect('Bind(, #2)', 'Sync')
    postgres.send(bindComplete, ready())
    await other.answer()
  })

  test('of another client cannot be used', async () => {
    const { flow, postgres } = await startPrepared()
    const other = await flow.connect()
    other.send(bind('', 's1'), execute(), sync)
    await postgres.expect('Bind(, s1)', 'Execute', 'Sync')
    postgres.send(error('26000', 'prepared statement "s1" does not exist'), ready())
    await other.expect('ErrorResponse(ERROR 26000 prepared statement "s1" does not exist)', 'ReadyForQuery(I)')
  })

  test('may have any characters in its name', async () => {
    const { client, postgres } = await startPair()
    const name = 'größer'
    client.send(parse(name, 'select 1'), bind('', name), sync)
    await postgres.expect('Parse(#1, select 1)', 'Bind(, #1)', 'Sync')
    postgres.send(parseComplete, bindComplete, ready())
    await client.answer()
  })
})

describe('a Close of a statement', () => {
  test('is answered by the pooler, and the statement stays on the server for other clients', async () => {
    const { client, postgres } = await startPrepared()
    client.send(closeStatement('s1'), sync)
    await postgres.expect('Sync')
    postgres.send(ready())
    await client.expect('CloseComplete', 'ReadyForQuery(I)')
    client.send(bind('', 's1'), sync)
    await postgres.expect('Bind(, s1)', 'Sync')
    postgres.send(error('26000', 'prepared statement "s1" does not exist'), ready())
    await client.answer()
    client.send(parse('s1', 'select 1'), bind('', 's1'), sync)
    await postgres.expect('Bind(, #1)', 'Sync')
    postgres.send(bindComplete, ready())
    expect(await client.answer()).toEqual(['ParseComplete', 'BindComplete', 'ReadyForQuery(I)'])
  })

  test('goes to the server if the statement is unknown, and so does a Close of a portal', async () => {
    const { client, postgres } = await startPrepared()
    client.send(closeStatement('nobody'), closePortal('s1'), sync)
    await postgres.expect('Close(statement, nobody)', 'Close(portal, s1)', 'Sync')
    postgres.send(closeComplete, closeComplete, ready())
    await client.expect('CloseComplete', 'CloseComplete', 'ReadyForQuery(I)')
  })

  test('makes room for another statement of the same name in the same batch', async () => {
    const { client, postgres } = await startPrepared()
    client.send(closeStatement('s1'), parse('s1', 'select 2'), bind('', 's1'), sync)
    await postgres.expect('Parse(#2, select 2)', 'Bind(, #2)', 'Sync')
    postgres.send(parseComplete, bindComplete, ready())
    expect(await client.answer()).toEqual(['CloseComplete', 'ParseComplete', 'BindComplete', 'ReadyForQuery(I)'])
  })

  test('has no effect if it is skipped because of an error', async () => {
    const { client, postgres } = await startPrepared()
    client.send(parse('bad', 'selct'), closeStatement('s1'), parse('s1', 'select 2'), sync)
    await postgres.expect('Parse(#2, selct)', 'Parse(#3, select 2)', 'Sync')
    postgres.send(error('42601', 'syntax error'), ready())
    await client.answer()
    client.send(bind('', 's1'), sync)
    await postgres.expect('Bind(, #1)', 'Sync')
    postgres.send(bindComplete, ready())
    await client.expect('BindComplete', 'ReadyForQuery(I)')
  })
})

describe('max_prepared_statements', () => {
  test('makes a server close its least recently used statement, which is prepared again when it is used', async () => {
    const pair = await startPair({ settings: { max_prepared_statements: 2 } })
    const { client, postgres } = pair
    await prepare(pair, 'a', 'select a')
    await prepare(pair, 'b', 'select b')
    client.send(bind('', 'a'), sync)
    await postgres.expect('Bind(, #1)', 'Sync')
    postgres.send(bindComplete, ready())
    await client.answer()
    client.send(parse('c', 'select c'), sync)
    await postgres.expect('Close(statement, #2)', 'Parse(#3, select c)', 'Sync')
    postgres.send(closeComplete, parseComplete, ready())
    expect(await client.answer()).toEqual(['ParseComplete', 'ReadyForQuery(I)'])
    client.send(bind('', 'b'), sync)
    await postgres.expect('Close(statement, #1)', 'Parse(#2, select b)', 'Bind(, #2)', 'Sync')
    postgres.send(closeComplete, parseComplete, bindComplete, ready())
    expect(await client.answer()).toEqual(['BindComplete', 'ReadyForQuery(I)'])
  })

  test('= 1 lets one batch use several statements in turn', async () => {
    const pair = await startPair({ settings: { max_prepared_statements: 1 } })
    const { client, postgres } = pair
    client.send(parse('a', 'select a'), parse('b', 'select b'), bind('', 'a'), bind('', 'b'), sync)
    await postgres.expect('Parse(#1, select a)')
    await postgres.expect('Close(statement, #1)', 'Parse(#2, select b)')
    await postgres.expect('Close(statement, #2)', 'Parse(#1, select a)', 'Bind(, #1)')
    await postgres.expect('Close(statement, #1)', 'Parse(#2, select b)', 'Bind(, #2)', 'Sync')
    postgres.send(parseComplete, closeComplete, parseComplete)
    await client.expect('ParseComplete', 'ParseComplete')
    postgres.send(closeComplete, parseComplete, bindComplete, closeComplete, parseComplete, bindComplete, ready())
    expect(await client.answer()).toEqual(['BindComplete', 'BindComplete', 'ReadyForQuery(I)'])
  })

  test('= 0 passes statement names through', async () => {
    const { client, postgres } = await startPair({ settings: { max_prepared_statements: 0 } })
    client.send(parse('s1', 'select 1'), bind('', 's1'), closeStatement('s1'), sync)
    await postgres.expect('Parse(s1, select 1)', 'Bind(, s1)', 'Close(statement, s1)', 'Sync')
    postgres.send(parseComplete, bindComplete, closeComplete, ready())
    expect(await client.answer()).toHaveLength(4)
  })
})

describe('DEALLOCATE ALL and DISCARD ALL', () => {
  for (const tag of ['DEALLOCATE ALL', 'DISCARD ALL'])
    test(`after ${tag}, neither the client nor the server has statements`, async () => {
      const pair = await startPrepared()
      const { flow, client, postgres } = pair
      await ask(pair, tag.toLowerCase(), tag)
      client.send(bind('', 's1'), sync)
      await postgres.expect('Bind(, s1)', 'Sync')
      postgres.send(error('26000', 'prepared statement "s1" does not exist'), ready())
      await client.answer()
      const other = await flow.connect()
      other.send(parse('mine', 'select 1'), bind('', 'mine'), sync)
      await postgres.expect('Parse', 'Bind', 'Sync')
      postgres.send(parseComplete, bindComplete, ready())
      expect(await other.answer()).toEqual(['ParseComplete', 'BindComplete', 'ReadyForQuery(I)'])
    })

  test('of one client leave the statements of other clients usable', async () => {
    const pair = await startPrepared()
    const { flow, client, postgres } = pair
    const other = await flow.connect()
    await ask({ client: other, postgres }, 'discard all', 'DISCARD ALL')
    client.send(bind('', 's1'), sync)
    await postgres.expect('Parse(#1, select 1)', 'Bind(, #1)', 'Sync')
    postgres.send(parseComplete, bindComplete, ready())
    expect(await client.answer()).toEqual(['BindComplete', 'ReadyForQuery(I)'])
  })
})

test('statements of disconnected clients are forgotten', async () => {
  const pair = await startPair({ settings: { max_prepared_statements: 1 } })
  const { flow, client, postgres, pool } = pair
  for (const text of ['a', 'b', 'c']) {
    client.send(parse(text, text), sync)
    await quiet()
    const evicts = postgres.inbox.take().some((request) => request.name === 'Close')
    postgres.send(...(evicts ? [closeComplete] : []), parseComplete, ready())
    await client.answer()
  }
  expect(pool.statements.size).toBe(3)
  client.leave()
  await quiet()
  expect(pool.statements.size).toBe(1)
  expect(flow.pool().statements).toBe(pool.statements)
})

test('a client that disconnects with unanswered requests leaves no statements behind', async () => {
  const { flow, client, postgres } = await startPrepared()
  client.send(bind('', 's1'), closeStatement('s1'), parse('s2', 'select 2'), sync)
  await postgres.expect('Bind', 'Parse', 'Sync')
  client.vanish()
  await flow.postgres.nextCancel()
  postgres.endCancelled()
  await postgres.expectClosed()
  expect(flow.pool().statements.size).toBe(0)
})

test('after a Flush, a client gets the answers of the server and those of the pooler', async () => {
  const { client, postgres } = await startPrepared()
  client.send(parse('a', 'select 1'), describeStatement('a'), flush)
  await client.expect('ParseComplete')
  await postgres.expect('Describe(statement, #1)', 'Flush')
  postgres.send(parameterDescription(), noData)
  await client.expect('ParameterDescription', 'NoData')
  client.send(sync)
  await postgres.expect('Sync')
  postgres.send(ready())
  await client.answer()
})
