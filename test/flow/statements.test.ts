/** Prepared statements follow a client from server to server, under names of ours, and fail with Postgres' own errors. */

import { describe, expect, test } from 'vitest'
import { quiet } from '../support/flow/inbox.ts'
import type { FlowServer } from '../support/flow/postgres.ts'
import {
  bindComplete,
  closeComplete,
  complete,
  dataRow,
  error,
  join,
  noData,
  parameterDescription,
  parseComplete,
  ready,
  rowDescription,
  rows,
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
import { type FlowOptions, type Pair, startPair } from '../support/flow/start.ts'

const RESULT = join(bindComplete, dataRow('1'), complete('SELECT 1'), ready())

/** The statement `s1` is prepared for the client on its server, under a name of ours. */
async function startPrepared(options: FlowOptions = {}): Promise<Pair> {
  const pair = await startPair(options)
  await prepare(pair, 's1', 'select 1')
  return pair
}

async function prepare({ client, postgres }: Pick<Pair, 'client' | 'postgres'>, name: string, text: string) {
  client.send(parse(name, text), sync)
  const sent = await postgres.expect('Parse')
  await postgres.expect('Sync')
  postgres.send(parseComplete, ready())
  await client.expect('ParseComplete', 'ReadyForQuery(I)')
  return sent
}

/** A client holds the first server, so that the next one that asks gets another. */
async function occupy({ flow, postgres }: Pick<Pair, 'flow' | 'postgres'>): Promise<() => Promise<void>> {
  const holder = await flow.connect()
  holder.send(query('begin'))
  await postgres.expect('Query(begin)')
  postgres.send(complete('BEGIN'), ready('T'))
  await holder.answer()
  return async () => {
    holder.send(query('commit'))
    await postgres.expect('Query(commit)')
    postgres.send(complete('COMMIT'), ready())
    await holder.answer()
  }
}

/** A simple query of one client, so that its server has seen one. */
async function ask({ client, postgres }: Pick<Pair, 'client' | 'postgres'>, text: string, tag: string) {
  client.send(query(text))
  await postgres.expect('Query')
  postgres.send(complete(tag), ready())
  await client.expect(`CommandComplete(${tag})`, 'ReadyForQuery(I)')
}

describe('a named statement', () => {
  test('has a name of ours on the server, in every message that names it', async () => {
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

  test('that the server has is used without another Parse', async () => {
    const { client, postgres } = await startPrepared()
    for (let round = 0; round < 3; round++) {
      client.send(bind('', 's1'), execute(), sync)
      await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
      postgres.send(RESULT)
      await client.expect('BindComplete', 'DataRow(1)', 'CommandComplete', 'ReadyForQuery(I)')
    }
  })

  test('is prepared on another server before its first Bind there, and nobody sees that', async () => {
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

  test('with the same text and types is shared with another client, and not with other types', async () => {
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

  test('means to each client its own, whatever the name', async () => {
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

  test('of another client is unknown', async () => {
    const { flow, postgres } = await startPrepared()
    const other = await flow.connect()
    other.send(bind('', 's1'), execute(), sync)
    await postgres.expect('Bind(, s1)', 'Execute', 'Sync')
    postgres.send(error('26000', 'prepared statement "s1" does not exist'), ready())
    await other.expect('ErrorResponse(ERROR 26000 prepared statement "s1" does not exist)', 'ReadyForQuery(I)')
  })

  test('may have any bytes in its name', async () => {
    const { client, postgres } = await startPair()
    const name = 'größer'
    client.send(parse(name, 'select 1'), bind('', name), sync)
    await postgres.expect('Parse(#1, select 1)', 'Bind(, #1)', 'Sync')
    postgres.send(parseComplete, bindComplete, ready())
    await client.answer()
  })
})

describe('answers of our own', () => {
  test('come in their place among the server’s', async () => {
    const { client, postgres } = await startPrepared()
    client.send(bind('', 's1'), execute(), parse('s2', 'select 1'), bind('', 's2'), execute(), sync)
    await postgres.expect('Bind(, #1)', 'Execute', 'Bind(, #1)', 'Execute', 'Sync')
    await client.expectNothing()
    postgres.send(bindComplete)
    await client.expect('BindComplete')
    await client.expectNothing()
    postgres.send(dataRow('1'), complete('SELECT 1'))
    await client.expect('DataRow(1)', 'CommandComplete(SELECT 1)', 'ParseComplete')
    postgres.send(RESULT)
    await client.expect('BindComplete', 'DataRow(1)', 'CommandComplete(SELECT 1)', 'ReadyForQuery(I)')
  })

  test('several in a row, in front, between and behind', async () => {
    const { client, postgres } = await startPrepared()
    client.send(
      parse('a', 'select 1'),
      closeStatement('a'),
      parse('a', 'select 1'),
      bind('', 'a'),
      closeStatement('a'),
      closeStatement('s1'),
      sync,
    )
    await client.expect('ParseComplete', 'CloseComplete', 'ParseComplete')
    await postgres.expect('Bind(, #1)', 'Sync')
    await client.expectNothing()
    postgres.send(bindComplete, ready())
    await client.expect('BindComplete', 'CloseComplete', 'CloseComplete', 'ReadyForQuery(I)')
  })

  test('behind a Sync of an earlier batch wait for its ReadyForQuery', async () => {
    const { client, postgres } = await startPrepared()
    client.send(bind('', 's1'), execute(), sync, closeStatement('s1'), sync)
    await postgres.expect('Bind', 'Execute', 'Sync', 'Sync')
    await client.expectNothing()
    postgres.send(RESULT)
    await client.expect('BindComplete', 'DataRow(1)', 'CommandComplete', 'ReadyForQuery(I)', 'CloseComplete')
    postgres.send(ready())
    await client.expect('ReadyForQuery(I)')
  })

  test('do not come in between the parts of a reply', async () => {
    const { client, postgres } = await startPrepared()
    const description = rowDescription('a', 'rather', 'long', 'row')
    client.send(describeStatement('s1'), parse('a', 'select 1'), sync)
    await postgres.expect('Describe', 'Sync')
    postgres.send(parameterDescription(23), description.subarray(0, 20))
    await quiet()
    postgres.send(description.subarray(20, 40))
    await quiet()
    postgres.send(description.subarray(40))
    await client.expect('ParameterDescription(23)', 'RowDescription', 'ParseComplete')
    postgres.send(ready())
    await client.expect('ReadyForQuery(I)')
  })

  test('behind an error in their batch are not given', async () => {
    const { client, postgres } = await startPrepared()
    client.send(bind('', 's1'), parse('a', 'select 1'), closeStatement('a'), sync, bind('', 's1'), sync)
    await postgres.expect('Bind', 'Sync', 'Bind(, #1)', 'Sync')
    postgres.send(error('08P01', 'wrong number of parameters'), ready())
    await client.expect('ErrorResponse', 'ReadyForQuery(I)')
    postgres.send(bindComplete, ready())
    await client.expect('BindComplete', 'ReadyForQuery(I)')
  })
})

describe('while an earlier batch may have failed without our knowing it yet', () => {
  test('a statement that was prepared in it is prepared again', async () => {
    const pair = await startPrepared()
    const { flow, client } = pair
    const goOn = await occupy(pair)
    client.send(parse('', 'selct'), bind('', 's1'), execute(), sync, bind('', 's1'), bind('', 's1'), execute(), sync)
    const second = await flow.postgres.next()
    await second.expect('Parse(, selct)', 'Parse(#1, select 1)', 'Bind(, #1)', 'Execute', 'Sync')
    await second.expect('Close(statement, #1)', 'Parse(#1, select 1)', 'Bind(, #1)', 'Bind(, #1)', 'Execute', 'Sync')
    second.send(error('42601', 'syntax error'), ready())
    second.send(closeComplete, parseComplete, bindComplete, RESULT)
    expect(await client.answer()).toEqual(['ErrorResponse(ERROR 42601 syntax error)', 'ReadyForQuery(I)'])
    expect(await client.answer()).toEqual([
      'BindComplete',
      'BindComplete',
      'DataRow(1)',
      'CommandComplete(SELECT 1)',
      'ReadyForQuery(I)',
    ])
    client.send(bind('', 's1'), sync)
    await second.expect('Bind(, #1)', 'Sync')
    second.send(bindComplete, ready())
    await client.answer()
    await goOn()
  })

  test('a statement that was evicted in it may still be there', async () => {
    const pair = await startPrepared({ settings: { max_prepared_statements: 1 } })
    const { client, postgres } = pair
    client.send(parse('', 'selct'), parse('s2', 'select 2'), sync, bind('', 's1'), sync)
    await postgres.expect('Parse(, selct)', 'Close(statement, #1)', 'Parse(#2, select 2)', 'Sync')
    await postgres.expect('Close(statement, #1)', 'Close(statement, #2)', 'Parse(#1, select 1)', 'Bind(, #1)', 'Sync')
    postgres.send(error('42601', 'syntax error'), ready())
    postgres.send(closeComplete, closeComplete, parseComplete, bindComplete, ready())
    await client.answer()
    expect(await client.answer()).toEqual(['BindComplete', 'ReadyForQuery(I)'])
    client.send(bind('', 's1'), sync)
    await postgres.expect('Bind(, #1)', 'Sync')
    postgres.send(bindComplete, ready())
    await client.answer()
  })

  test('a name that was given in it is not used before it is known to have been given', async () => {
    const { client, postgres } = await startPair()
    client.send(parse('', 'selct'), parse('s1', 'select 1'), sync, bind('', 's1'), execute(), sync, query('two'))
    await postgres.expect('Parse(, selct)', 'Parse(#1, select 1)', 'Sync')
    await postgres.expectNothing()
    postgres.send(error('42601', 'syntax error'), ready())
    await postgres.expect('Bind(, s1)', 'Execute', 'Sync', 'Query(two)')
    postgres.send(error('26000', 'prepared statement "s1" does not exist'), ready(), rows('2'), ready())
    await client.answer()
    expect(await client.answer()).toEqual([
      'ErrorResponse(ERROR 26000 prepared statement "s1" does not exist)',
      'ReadyForQuery(I)',
    ])
    expect(await client.answer()).toContain('DataRow(2)')
  })

  test('a name that was taken away in it stays if it has failed', async () => {
    const { client, postgres } = await startPrepared()
    client.send(parse('', 'selct'), closeStatement('s1'), sync, describeStatement('s1'), sync)
    await postgres.expect('Parse(, selct)', 'Sync')
    await postgres.expectNothing()
    postgres.send(error('42601', 'syntax error'), ready())
    await postgres.expect('Describe(statement, #1)', 'Sync')
    postgres.send(parameterDescription(), noData, ready())
    await client.answer()
    expect(await client.answer()).toEqual(['ParameterDescription()', 'NoData', 'ReadyForQuery(I)'])
  })

  test('a name that was given anew behind it is not taken away with what it had given', async () => {
    const { client, postgres } = await startPair()
    client.send(parse('', 'selct'), parse('s1', 'select 1'), sync)
    await postgres.expect('Parse(, selct)', 'Parse(#1, select 1)', 'Sync')
    client.send(closeStatement('s1'), parse('s1', 'select 2'), sync)
    postgres.send(error('42601', 'syntax error'), ready())
    await client.answer()
    const seen = await postgres.inbox.through('Sync')
    postgres.send(
      ...seen.slice(0, -1).map((shown) => (shown.startsWith('Close') ? closeComplete : parseComplete)),
      ready(),
    )
    expect(await client.answer()).toEqual(['CloseComplete', 'ParseComplete', 'ReadyForQuery(I)'])
    client.send(bind('', 's1'), sync)
    await postgres.expect('Bind(, #2)', 'Sync')
    postgres.send(bindComplete, ready())
    await client.expect('BindComplete', 'ReadyForQuery(I)')
  })

  test('a Parse of what the server has is not answered by us: the transaction may have failed', async () => {
    const pair = await startPrepared()
    const { client, postgres } = pair
    client.send(query('begin; selct'), parse('s2', 'select 1'), sync)
    await postgres.expect('Query', 'Close(statement, #1)', 'Parse(#1, select 1)', 'Sync')
    postgres.send(error('42601', 'syntax error'), ready('E'))
    postgres.send(closeComplete, error('25P02', 'current transaction is aborted'), ready('E'))
    await client.answer()
    expect(await client.answer()).toEqual([
      'ErrorResponse(ERROR 25P02 current transaction is aborted)',
      'ReadyForQuery(E)',
    ])
    await ask(pair, 'rollback', 'ROLLBACK')
  })

  test('an unnamed statement that was parsed in it is bound only when that is known, and never another one', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(parse('', 'secret'), sync)
    await postgres.expect('Parse(, secret)', 'Sync')
    postgres.send(parseComplete, ready())
    await client.answer()
    const other = await flow.connect()
    other.send(parse('bad', 'selct'), parse('', 'mine'), sync, bind('', ''), execute(), sync)
    await postgres.expect('Parse(#1, selct)', 'Parse(, mine)', 'Sync')
    postgres.send(error('42601', 'syntax error'), ready())
    await postgres.expect('Close(statement, )', 'Bind(, )', 'Execute', 'Sync')
    postgres.send(closeComplete, error('26000', 'unnamed prepared statement does not exist'), ready())
    await other.answer()
    expect((await other.answer())[0]).toContain('26000')
  })

  test('an unnamed statement that was to be closed in it is closed again', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(parse('', 'secret'), sync)
    await postgres.expect('Parse(, secret)', 'Sync')
    postgres.send(parseComplete, ready())
    await client.answer()
    const other = await flow.connect()
    other.send(parse('bad', 'selct'), bind('', ''), sync, bind('', ''), execute(), sync)
    await postgres.expect('Parse(#1, selct)', 'Close(statement, )', 'Bind(, )', 'Sync')
    await postgres.expect('Close(statement, )', 'Bind(, )', 'Execute', 'Sync')
    postgres.send(error('42601', 'syntax error'), ready())
    postgres.send(closeComplete, error('26000', 'unnamed prepared statement does not exist'), ready())
    await other.answer()
    await other.answer()
  })
})

describe('a Close of a statement', () => {
  test('is answered by us, and the statement stays on the server for others', async () => {
    const { client, postgres } = await startPrepared()
    client.send(closeStatement('s1'), sync)
    await client.expect('CloseComplete')
    await postgres.expect('Sync')
    postgres.send(ready())
    await client.expect('ReadyForQuery(I)')
    client.send(bind('', 's1'), sync)
    await postgres.expect('Bind(, s1)', 'Sync')
    postgres.send(error('26000', 'prepared statement "s1" does not exist'), ready())
    await client.answer()
    client.send(parse('s1', 'select 1'), bind('', 's1'), sync)
    await postgres.expect('Bind(, #1)', 'Sync')
    postgres.send(bindComplete, ready())
    expect(await client.answer()).toEqual(['ParseComplete', 'BindComplete', 'ReadyForQuery(I)'])
  })

  test('that nobody knows, and of a portal, is the server’s to answer', async () => {
    const { client, postgres } = await startPrepared()
    client.send(closeStatement('nobody'), closePortal('s1'), sync)
    await postgres.expect('Close(statement, nobody)', 'Close(portal, s1)', 'Sync')
    postgres.send(closeComplete, closeComplete, ready())
    await client.expect('CloseComplete', 'CloseComplete', 'ReadyForQuery(I)')
  })

  test('makes room for another statement of the same name in the same batch', async () => {
    const { client, postgres } = await startPrepared()
    client.send(closeStatement('s1'), parse('s1', 'select 2'), bind('', 's1'), sync)
    await postgres.expect('Parse(#1, select 2)'.replace('#1', '#2'), 'Bind(, #2)', 'Sync')
    postgres.send(parseComplete, bindComplete, ready())
    expect(await client.answer()).toEqual(['CloseComplete', 'ParseComplete', 'BindComplete', 'ReadyForQuery(I)'])
  })

  test('behind an error has not happened', async () => {
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

describe('errors', () => {
  test('a Parse that fails has not happened: the name is free, and the server has nothing', async () => {
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

  test('a Parse that was skipped has not happened', async () => {
    const { client, postgres } = await startPair()
    client.send(parse('a', 'selct'), parse('b', 'select 2'), sync)
    await postgres.expect('Parse(#1, selct)', 'Parse(#2, select 2)', 'Sync')
    postgres.send(error('42601', 'syntax error'), ready())
    await client.answer()
    client.send(parse('b', 'select 2'), bind('', 'b'), sync)
    await postgres.expect('Parse(#2, select 2)'.replace('#2', '#3'), 'Bind(, #3)', 'Sync')
    postgres.send(parseComplete, bindComplete, ready())
    await client.expect('ParseComplete', 'BindComplete', 'ReadyForQuery(I)')
  })

  test('a Parse of ours that fails is told as the error of the Bind, and the client’s statement lives on', async () => {
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

  test('a duplicate name is 42P05, the rest of the batch is skipped, and the client lives on', async () => {
    const { client, postgres } = await startPrepared()
    client.send(parse('s1', 'select 2'), bind('', 's1'), execute(), sync, bind('', 's1'), sync)
    const [made] = [await postgres.inbox.next()]
    expect(made.name).not.toBe('Parse')
    await quiet()
    postgres.inbox.take()
    postgres.send(error('26000', 'prepared statement "pgweir_never" does not exist'), ready())
    expect(await client.answer()).toEqual([
      'ErrorResponse(ERROR 42P05 prepared statement "s1" already exists)',
      'ReadyForQuery(I)',
    ])
    postgres.send(bindComplete, ready())
    await client.expect('BindComplete', 'ReadyForQuery(I)')
  })

  test('a duplicate name within one batch, too, and behind what the server still owes', async () => {
    const { client, postgres } = await startPair()
    client.send(parse('a', 'select 1'), parse('a', 'select 2'), bind('', 'a'), sync)
    await postgres.expect('Parse(#1, select 1)')
    await quiet()
    postgres.inbox.take()
    postgres.send(parseComplete, error('26000', 'never'), ready())
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

  test('a duplicate name in a transaction fails it', async () => {
    const { client, postgres } = await startPrepared()
    client.send(query('begin'))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    client.send(parse('s1', 'select 2'), sync)
    await quiet()
    postgres.inbox.take()
    postgres.send(error('26000', 'never'), ready('E'))
    expect((await client.answer()).at(-1)).toBe('ReadyForQuery(E)')
    client.send(query('rollback'))
    await postgres.expect('Query')
    postgres.send(complete('ROLLBACK'), ready())
    await client.answer()
  })

  test('an unknown name is the server’s 26000, in its place, and the client lives on', async () => {
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
    test(`nobody can ${what} a shared statement by its real name`, async () => {
      const { flow, postgres } = await startPrepared()
      const real = postgres.inbox.all.find((request) => request.name === 'Parse')?.texts[0] as string
      const other = await flow.connect()
      other.send(...requests.map((request) => Buffer.from(request)), sync)
      await quiet()
      expect(postgres.inbox.take().some((request) => request.texts.includes(real) && real === 'pgweir_1')).toBe(false)
      postgres.send(error('26000', 'never'), ready())
      expect((await other.answer())[0]).toContain('26000 prepared statement "pgweir_1" does not exist')
    })

  test('a client may call its statement what we call ours', async () => {
    const { client, postgres } = await startPair()
    client.send(parse('pgweir_1', 'select 7'), bind('', 'pgweir_1'), closeStatement('pgweir_1'), sync)
    const sent = await postgres.expect('Parse')
    expect(sent.texts[1]).toBe('select 7')
    await postgres.expect('Bind', 'Sync')
    postgres.send(parseComplete, bindComplete, ready())
    expect(await client.answer()).toEqual(['ParseComplete', 'BindComplete', 'CloseComplete', 'ReadyForQuery(I)'])
  })

  test('a Close of ours that was skipped by an error has not happened', async () => {
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

  test('in a failed transaction Postgres has the word about every Parse', async () => {
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

describe('max_prepared_statements', () => {
  test('the least recently used statement makes way, and comes back when it is used', async () => {
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

  test('of 1 lets one batch use several statements in turn', async () => {
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

  test('of 0 lets names through as they are', async () => {
    const { client, postgres } = await startPair({ settings: { max_prepared_statements: 0 } })
    client.send(parse('s1', 'select 1'), bind('', 's1'), closeStatement('s1'), sync)
    await postgres.expect('Parse(s1, select 1)', 'Bind(, s1)', 'Close(statement, s1)', 'Sync')
    postgres.send(parseComplete, bindComplete, closeComplete, ready())
    expect(await client.answer()).toHaveLength(4)
  })
})

describe('the unnamed statement', () => {
  test('goes through as it is', async () => {
    const { client, postgres } = await startPair()
    client.send(parse('', 'select 1'), describeStatement(''), bind('', ''), execute(), sync)
    await postgres.expect('Parse(, select 1)', 'Describe(statement, )', 'Bind(, )', 'Execute', 'Sync')
    postgres.send(parseComplete, parameterDescription(), rowDescription('value'), RESULT)
    expect(await client.answer()).toHaveLength(7)
  })

  test('that was parsed in one transaction can be bound in a later one, on another server too', async () => {
    const pair = await startPair()
    const { flow, client, postgres } = pair
    client.send(parse('', 'select 1'), sync)
    await postgres.expect('Parse(, select 1)', 'Sync')
    postgres.send(parseComplete, ready())
    await client.answer()
    client.send(bind('', ''), execute(), sync)
    await postgres.expect('Bind(, )', 'Execute', 'Sync')
    postgres.send(RESULT)
    await client.answer()
    const goOn = await occupy(pair)
    client.send(bind('', ''), execute(), sync)
    const second = await flow.postgres.next()
    await second.expect('Parse(, select 1)', 'Bind(, )', 'Execute', 'Sync')
    second.send(parseComplete, RESULT)
    expect(await client.answer()).toEqual([
      'BindComplete',
      'DataRow(1)',
      'CommandComplete(SELECT 1)',
      'ReadyForQuery(I)',
    ])
    await goOn()
  })

  test('is parsed again where another client has put its own in between', async () => {
    const { flow, client, postgres } = await startPair()
    const other = await flow.connect()
    for (const [who, text] of [
      [client, 'mine'],
      [other, 'other'],
    ] as const) {
      who.send(parse('', text), sync)
      await postgres.expect(`Parse(, ${text})`, 'Sync')
      postgres.send(parseComplete, ready())
      await who.answer()
    }
    client.send(bind('', ''), sync)
    await postgres.expect('Parse(, mine)', 'Bind(, )', 'Sync')
    postgres.send(parseComplete, bindComplete, ready())
    expect(await client.answer()).toEqual(['BindComplete', 'ReadyForQuery(I)'])
  })

  /** Whatever is sent before it: the other client's text must be gone when the Bind arrives. */
  async function expectNotRun(postgres: FlowServer, requests: readonly Buffer[], client: Pair['client']) {
    client.send(...requests)
    await quiet()
    const seen = postgres.inbox.take().map((request) => request.shown)
    const bindAt = seen.lastIndexOf('Bind(, )')
    expect(bindAt).toBeGreaterThanOrEqual(0)
    expect(seen.slice(0, bindAt)).toContain('Close(statement, )')
    return seen
  }

  test('of another client is never run', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(parse('', 'secret'), sync)
    await postgres.expect('Parse(, secret)', 'Sync')
    postgres.send(parseComplete, ready())
    await client.answer()
    const other = await flow.connect()
    await expectNotRun(postgres, [bind('', ''), execute(), sync], other)
    postgres.send(closeComplete, error('26000', 'unnamed prepared statement does not exist'), ready())
    expect(await other.answer()).toEqual([
      'ErrorResponse(ERROR 26000 unnamed prepared statement does not exist)',
      'ReadyForQuery(I)',
    ])
  })

  test('of another client is never run, even if the Close that was to remove it was skipped', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(parse('', 'secret'), sync)
    await postgres.expect('Parse(, secret)', 'Sync')
    postgres.send(parseComplete, ready())
    await client.answer()
    const other = await flow.connect()
    other.send(parse('bad', 'selct'), bind('', ''), execute(), sync)
    await quiet()
    postgres.inbox.take()
    postgres.send(error('42601', 'syntax error'), ready())
    await other.answer()
    await expectNotRun(postgres, [bind('', ''), execute(), sync], other)
    postgres.send(closeComplete, error('26000', 'unnamed prepared statement does not exist'), ready())
    await other.answer()
  })

  test('of another client is never run, even if a Query that would have removed it was skipped', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(parse('', 'secret'), sync)
    await postgres.expect('Parse(, secret)', 'Sync')
    postgres.send(parseComplete, ready())
    await client.answer()
    const other = await flow.connect()
    other.send(parse('bad', 'selct'), query('select 1'), sync)
    await quiet()
    postgres.inbox.take()
    postgres.send(error('42601', 'syntax error'), ready())
    await other.answer()
    await expectNotRun(postgres, [bind('', ''), execute(), sync], other)
    postgres.send(closeComplete, error('26000', 'unnamed prepared statement does not exist'), ready())
    await other.answer()
  })

  test('of another client is never run, even if a Parse that would have replaced it was skipped', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(parse('', 'secret'), sync)
    await postgres.expect('Parse(, secret)', 'Sync')
    postgres.send(parseComplete, ready())
    await client.answer()
    const other = await flow.connect()
    other.send(parse('bad', 'selct'), parse('', 'mine'), sync)
    await quiet()
    postgres.inbox.take()
    postgres.send(error('42601', 'syntax error'), ready())
    await other.answer()
    await expectNotRun(postgres, [bind('', ''), execute(), sync], other)
    postgres.send(closeComplete, error('26000', 'unnamed prepared statement does not exist'), ready())
    await other.answer()
  })

  test('is gone after a simple query, as in Postgres', async () => {
    const { client, postgres } = await startPair()
    client.send(parse('', 'select 1'), sync)
    await postgres.expect('Parse', 'Sync')
    postgres.send(parseComplete, ready())
    await client.answer()
    client.send(query('select 2'))
    await postgres.expect('Query')
    postgres.send(rows('2'), ready())
    await client.answer()
    client.send(bind('', ''), sync)
    await quiet()
    expect(postgres.inbox.take().map((request) => request.name)).not.toContain('Parse')
    postgres.send(error('26000', 'unnamed prepared statement does not exist'), ready())
    await client.inbox.through('ReadyForQuery').catch(() => {})
  })

  test('is parsed again where another client has closed it in between', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(parse('', 'mine'), sync)
    await postgres.expect('Parse(, mine)', 'Sync')
    postgres.send(parseComplete, ready())
    await client.answer()
    const other = await flow.connect()
    other.send(closeStatement(''), sync)
    await postgres.expect('Close(statement, )', 'Sync')
    postgres.send(closeComplete, ready())
    await other.answer()
    client.send(bind('', ''), sync)
    await postgres.expect('Parse(, mine)', 'Bind(, )', 'Sync')
    postgres.send(parseComplete, bindComplete, ready())
    expect(await client.answer()).toEqual(['BindComplete', 'ReadyForQuery(I)'])
  })

  test('is parsed again where the pooler’s own query has dropped it in between', async () => {
    const { flow, client, postgres } = await startPair()
    client.send(parse('', 'mine'), sync)
    await postgres.expect('Parse(, mine)', 'Sync')
    postgres.send(parseComplete, ready())
    await client.answer()
    await flow.advance(31_000)
    client.send(bind('', ''), sync)
    await postgres.expect('Query()')
    postgres.send(complete(''), ready())
    await postgres.expect('Parse(, mine)', 'Bind(, )', 'Sync')
    postgres.send(parseComplete, bindComplete, ready())
    expect(await client.answer()).toEqual(['BindComplete', 'ReadyForQuery(I)'])
  })

  test('of the client’s is not lost when a Parse of ours of it was skipped', async () => {
    const { flow, client, postgres } = await startPair()
    for (const [who, text] of [
      [client, 'mine'],
      [await flow.connect(), 'other'],
    ] as const) {
      who.send(parse('', text), sync)
      await postgres.expect(`Parse(, ${text})`, 'Sync')
      postgres.send(parseComplete, ready())
      await who.answer()
    }
    client.send(describeStatement('nobody'), bind('', ''), sync)
    await postgres.expect('Describe(statement, nobody)', 'Parse(, mine)', 'Bind(, )', 'Sync')
    postgres.send(error('26000', 'prepared statement "nobody" does not exist'), ready())
    await client.answer()
    client.send(bind('', ''), sync)
    await postgres.expect('Parse(, mine)', 'Bind(, )', 'Sync')
    postgres.send(parseComplete, bindComplete, ready())
    expect(await client.answer()).toEqual(['BindComplete', 'ReadyForQuery(I)'])
  })

  test('that was too large to be kept lives as long as its transaction', async () => {
    const { client, postgres } = await startPair()
    client.send(parse('', `select ${'x'.repeat(1024 * 1024)}`), bind('', ''), execute(), sync)
    await postgres.expect('Parse', 'Bind(, )', 'Execute', 'Sync')
    postgres.send(parseComplete, RESULT)
    expect(await client.answer()).toContain('DataRow(1)')
  })
})

describe('DEALLOCATE ALL and DISCARD ALL', () => {
  for (const tag of ['DEALLOCATE ALL', 'DISCARD ALL'])
    test(`after ${tag} the client has no statements, and the server neither`, async () => {
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

  test('of one client, another one’s statements live on', async () => {
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

describe('after DDL', () => {
  for (const tag of ['CREATE TABLE', 'ALTER TABLE', 'DROP TABLE'])
    test(`(${tag}) Parse and Describe of a known text are real again`, async () => {
      const pair = await startPrepared()
      const { flow, client, postgres } = pair
      const other = await flow.connect()
      await ask({ client: other, postgres }, tag.toLowerCase(), tag)
      client.send(parse('s2', 'select 1'), describeStatement('s2'), sync)
      await postgres.expect('Parse', 'Describe', 'Sync')
      postgres.send(parseComplete, parameterDescription(25), rowDescription('other'), ready())
      expect(await client.answer()).toEqual([
        'ParseComplete',
        'ParameterDescription(25)',
        'RowDescription(other)',
        'ReadyForQuery(I)',
      ])
      client.send(describeStatement('s1'), sync)
      // The other name stands for the same text, so it is what has been prepared anew.
      await postgres.expect('Describe(statement, #2)', 'Sync')
      postgres.send(parameterDescription(25), rowDescription('other'), ready())
      expect(await client.answer()).toEqual(['ParameterDescription(25)', 'RowDescription(other)', 'ReadyForQuery(I)'])
    })

  test('a Bind whose portal is described next is prepared anew; one that is not keeps its plan', async () => {
    const pair = await startPrepared()
    const { client, postgres } = pair
    await ask(pair, 'alter table', 'ALTER TABLE')
    client.send(bind('', 's1'), execute(), sync)
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(RESULT)
    await client.answer()
    client.send(bind('', 's1'), describePortal(), execute(), sync)
    await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Describe', 'Execute', 'Sync')
    postgres.send(parseComplete, bindComplete, rowDescription('value'), dataRow('1'))
    postgres.send(complete('SELECT 1'), ready())
    expect((await client.answer())[0]).toBe('BindComplete')
  })

  test('of another database’s pool, too, if it leads to the same database', async () => {
    const pair = await startPair({ databases: ['app=host=db', 'alias=host=db dbname=app'] })
    await prepare(pair, 's1', 'select 1')
    const { flow, client, postgres } = pair
    const other = await flow.connect({ database: 'alias' })
    const second = await flow.postgres.next()
    await ask({ client: other, postgres: second }, 'alter table', 'ALTER TABLE')
    client.send(describeStatement('s1'), sync)
    await postgres.expect('Parse(#2, select 1)', 'Describe(statement, #2)', 'Sync')
    postgres.send(parseComplete, parameterDescription(), noData, ready())
    await client.answer()
  })

  test('"cached plan must not change result type" is told, and the next Describe is real again', async () => {
    const { client, postgres } = await startPrepared()
    client.send(bind('', 's1'), execute(), sync)
    await postgres.expect('Bind', 'Execute', 'Sync')
    postgres.send(bindComplete, error('0A000', 'cached plan must not change result type'), ready())
    expect((await client.answer())[1]).toContain('0A000')
    client.send(bind('', 's1'), describePortal(), execute(), sync)
    await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Describe', 'Execute', 'Sync')
    postgres.send(parseComplete, bindComplete, rowDescription('v'), dataRow('1'), complete('SELECT 1'))
    postgres.send(ready())
    await client.answer()
  })

  describe('a client that reads rows as it was told long ago, on a server without its statement,', () => {
    async function startOutdated() {
      const pair = await startPair()
      const { client, postgres } = pair
      client.send(parse('s1', 'select * from t'), describeStatement('s1'), sync)
      await postgres.expect('Parse', 'Describe', 'Sync')
      postgres.send(parseComplete, parameterDescription(), rowDescription('a'), ready())
      await client.answer()
      await ask(pair, 'alter table', 'ALTER TABLE')
      return pair
    }

    async function forget({ flow, postgres }: Awaited<ReturnType<typeof startOutdated>>) {
      const other = await flow.connect()
      await ask({ client: other, postgres }, 'discard all', 'DISCARD ALL')
    }

    test('is served if the rows are still the same', async () => {
      const pair = await startOutdated()
      const { client, postgres } = pair
      await forget(pair)
      client.send(bind('', 's1'), execute(), sync)
      await postgres.expect('Parse(#1, select * from t)', 'Describe(statement, #1)', 'Flush')
      postgres.send(parseComplete, parameterDescription(), rowDescription('a'))
      await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
      postgres.send(RESULT)
      expect((await client.answer())[0]).toBe('BindComplete')
    })

    test('gets the error that Postgres has for it if the rows have changed, and lives on', async () => {
      const pair = await startOutdated()
      const { client, postgres } = pair
      await forget(pair)
      client.send(bind('', 's1'), execute(), sync)
      await postgres.expect('Parse', 'Describe', 'Flush')
      postgres.send(parseComplete, parameterDescription(), rowDescription('b'))
      await postgres.expect('Describe', 'Execute', 'Sync')
      postgres.send(error('26000', 'no such statement'), ready())
      const answer = await client.answer()
      expect(answer[0]).toContain('0A000')
      expect(answer[0]).toContain('cached plan must not change result type')
      expect(answer[1]).toBe('ReadyForQuery(I)')
    })

    test('gets Postgres’ own error if it cannot be prepared any more', async () => {
      const pair = await startOutdated()
      const { client, postgres } = pair
      await forget(pair)
      client.send(bind('', 's1'), execute(), sync)
      await postgres.expect('Parse', 'Describe', 'Flush')
      postgres.send(error('42P01', 'relation "t" does not exist'))
      await postgres.expect('Sync')
      postgres.send(ready())
      const answer = await client.answer()
      expect(answer[0]).toContain('42P01')
      expect(answer[1]).toBe('ReadyForQuery(I)')
    })
  })
})

test('statements of clients that have gone are forgotten', async () => {
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

test('a client that goes with unanswered requests holds no statements', async () => {
  const { flow, client, postgres } = await startPrepared()
  client.send(bind('', 's1'), closeStatement('s1'), parse('s2', 'select 2'), sync)
  await postgres.expect('Bind', 'Parse', 'Sync')
  client.vanish()
  await postgres.expectClosed()
  await flow.postgres.nextCancel()
  expect(flow.pool().statements.size).toBe(0)
})

test('Flush brings the answers of the server and ours', async () => {
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
