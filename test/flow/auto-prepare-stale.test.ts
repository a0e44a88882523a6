/** With auto_prepare, tables that change behind the pooler's back do not affect a client that parses its statements anew each time. */

import { describe, expect, test } from 'vitest'
import { ANSWER, PARSED_RESULT, startKept } from '../support/flow/auto-prepared.ts'
import { quiet } from '../support/flow/inbox.ts'
import { ask, occupy, RESULT } from '../support/flow/prepared.ts'
import {
  bindComplete,
  closeComplete,
  complete,
  dataRow,
  error,
  join,
  parameterDescription,
  parseComplete,
  ready,
  rowDescription,
} from '../support/flow/replies.ts'
import {
  batch,
  bind,
  cancelRequest,
  describePortal,
  describeStatement,
  execute,
  flush,
  parse,
  query,
  sync,
} from '../support/flow/requests.ts'
import type { Pair } from '../support/flow/start.ts'

const STALE = error('0A000', 'cached plan must not change result type')
const SHOWN = 'ErrorResponse(ERROR 0A000 cached plan must not change result type)'

describe('auto_prepare: a statement whose plan is out of date', () => {
  test('is prepared anew and the batch is sent again, without an error for the client', async () => {
    const { client, postgres } = await startKept()
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(STALE)
    await client.expect('ParseComplete')
    await postgres.expectNothing()
    postgres.send(ready())
    await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Execute', 'Sync')
    postgres.send(PARSED_RESULT)
    expect(await client.answer()).toEqual(ANSWER.slice(1))
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #2)', 'Execute', 'Sync')
    postgres.send(RESULT)
    expect(await client.answer()).toEqual(ANSWER)
  })

  test('is recognized whatever the language of the error', async () => {
    const { client, postgres } = await startKept()
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    const words = 'gecachter Plan darf den Ergebnistyp nicht ändern'
    postgres.send(error('0A000', words, 'ERROR', { R: 'RevalidateCachedQuery' }), ready())
    await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Execute', 'Sync')
    postgres.send(PARSED_RESULT)
    expect(await client.answer()).toEqual(ANSWER)
  })

  test('is also prepared anew if a parameter has another type now', async () => {
    const { client, postgres } = await startKept()
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(error('42883', 'operator does not exist: text = integer', 'ERROR', { P: '30' }), ready())
    await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Execute', 'Sync')
    postgres.send(PARSED_RESULT)
    expect(await client.answer()).toEqual(ANSWER)
  })

  test('may fail at Describe, half of whose answer the pooler holds back until it is complete', async () => {
    const { client, postgres } = await startKept()
    client.send(parse('', 'select 1'), describeStatement(''), bind('', '', 'value'), describePortal(), execute(), sync)
    await postgres.expect('Describe(statement, #1)', 'Bind(, #1, value)', 'Describe(portal, )', 'Execute', 'Sync')
    postgres.send(parameterDescription(23))
    await client.expect('ParseComplete')
    await client.expectNothing()
    postgres.send(STALE, ready())
    await postgres.expect('Parse(#2, select 1)', 'Describe(statement, #2)', 'Bind(, #2, value)')
    await postgres.expect('Describe(portal, )', 'Execute', 'Sync')
    postgres.send(parseComplete, parameterDescription(20), rowDescription('b'), bindComplete, rowDescription('b'))
    postgres.send(dataRow('1'), complete('SELECT 1'), ready())
    expect(await client.answer()).toEqual([
      'ParameterDescription(20)',
      'RowDescription(b)',
      'BindComplete',
      'RowDescription(b)',
      ...ANSWER.slice(2),
    ])
  })

  test('in a batch that is still open is prepared anew after a Sync of the pooler; the client’s own Sync follows', async () => {
    const { client, postgres } = await startKept()
    client.send(parse('', 'select 1'), describeStatement(''), flush)
    await postgres.expect('Describe(statement, #1)', 'Flush')
    postgres.send(parameterDescription(), STALE)
    await client.expect('ParseComplete')
    await postgres.expect('Sync')
    client.send(bind('', ''), execute(), sync)
    await postgres.expectNothing()
    postgres.send(ready())
    await postgres.expect('Parse(#2, select 1)', 'Describe(statement, #2)', 'Flush', 'Bind(, #2)', 'Execute', 'Sync')
    postgres.send(parseComplete, parameterDescription(), rowDescription('b'))
    await client.expect('ParameterDescription()', 'RowDescription(b)')
    postgres.send(RESULT)
    expect(await client.answer()).toEqual(ANSWER.slice(1))
  })

  test('is prepared anew even if another server’s rows for it became known before the batch is sent again', async () => {
    const { flow, client, postgres } = await startKept()
    client.send(parse('', 'select 1'), bind('', ''), describePortal(), flush)
    await postgres.expect('Bind(, #1)', 'Describe(portal, )', 'Flush')
    postgres.send(STALE)
    await client.expect('ParseComplete')
    await postgres.expect('Sync')
    const other = await flow.connect()
    other.send(parse('', 'select 1'), bind('', ''), describePortal(), execute(), sync)
    const second = await flow.postgres.next()
    await second.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Describe(portal, )', 'Execute', 'Sync')
    second.send(parseComplete, bindComplete, rowDescription('b'), dataRow('1'), complete('SELECT 1'), ready())
    await other.answer()
    postgres.send(ready())
    await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Describe(portal, )', 'Flush')
    postgres.send(parseComplete, bindComplete, rowDescription('b'))
    await client.expect('BindComplete', 'RowDescription(b)')
    client.send(execute(), sync)
    await postgres.expect('Execute', 'Sync')
    postgres.send(dataRow('1'), complete('SELECT 1'), ready())
    expect(await client.answer()).toEqual(ANSWER.slice(2))
  })

  test('is prepared anew if it was parsed in an earlier batch', async () => {
    const { client, postgres } = await startKept()
    client.send(parse('', 'select 1'), sync)
    await postgres.expect('Sync')
    postgres.send(ready())
    await client.answer()
    client.send(bind('', ''), execute(), sync)
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(STALE, ready())
    await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Execute', 'Sync')
    postgres.send(PARSED_RESULT)
    expect(await client.answer()).toEqual(ANSWER.slice(1))
  })

  test('is prepared anew, with values of many kilobytes that came in pieces', async () => {
    const { client, postgres } = await startKept()
    const value = 'x'.repeat(40_000)
    const bytes = Buffer.concat([parse('', 'select 1'), bind('', '', value), execute(), sync])
    for (let at = 0; at < bytes.length; at += 9_000) {
      client.send(bytes.subarray(at, at + 9_000))
      await quiet()
    }
    const first = await postgres.expect('Bind')
    await postgres.expect('Execute', 'Sync')
    postgres.send(STALE, ready())
    await postgres.expect('Parse(#2, select 1)')
    const second = await postgres.expect('Bind')
    expect(second.texts[2]).toBe(first.texts[2])
    await postgres.expect('Execute', 'Sync')
    postgres.send(PARSED_RESULT)
    expect(await client.answer()).toEqual(ANSWER)
  })

  test('that is out of date again after it was prepared anew is an error for the client', async () => {
    const { client, postgres } = await startKept()
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(STALE, ready())
    await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Execute', 'Sync')
    // A statement that was parsed in the same batch cannot be out of date. If the server says that it is, the client gets that error.
    postgres.send(parseComplete, STALE, ready())
    expect(await client.answer()).toEqual(['ParseComplete', SHOWN, 'ReadyForQuery(I)'])
  })

  test('whose table no longer exists is an error for the client', async () => {
    const { client, postgres } = await startKept()
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(STALE, ready())
    await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Execute', 'Sync')
    postgres.send(error('42P01', 'relation "t" does not exist'), ready())
    expect(await client.answer()).toEqual([
      'ParseComplete',
      'ErrorResponse(ERROR 42P01 relation "t" does not exist)',
      'ReadyForQuery(I)',
    ])
  })

  test('is sent again before the client’s next requests', async () => {
    const { client, postgres } = await startKept()
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(STALE)
    await quiet()
    client.send(query('select 2'))
    await postgres.expectNothing()
    postgres.send(ready())
    await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Execute', 'Sync', 'Query(select 2)')
    postgres.send(PARSED_RESULT)
    expect(await client.answer()).toEqual(ANSWER)
    postgres.send(complete('SELECT 1'), ready())
    expect(await client.answer()).toEqual(['CommandComplete(SELECT 1)', 'ReadyForQuery(I)'])
  })

  test('costs the server if the client leaves before the batch is sent again, as with any query', async () => {
    const { flow, client, postgres } = await startKept()
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(STALE)
    await client.expect('ParseComplete')
    await quiet()
    client.vanish()
    await flow.postgres.nextCancel()
    postgres.send(ready())
    await postgres.expectClosed()
  })

  test('is cancelled by a cancel request that comes after the batch was sent again', async () => {
    const { flow, client, postgres } = await startKept()
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(STALE, ready())
    await client.expect('ParseComplete')
    await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Execute', 'Sync')
    const canceller = await flow.dial()
    canceller.send(cancelRequest(client.key))
    await flow.postgres.nextCancel()
    postgres.send(parseComplete, error('57014', 'canceling statement due to user request'), ready())
    expect((await client.answer())[0]).toContain('57014')
  })

  test('ends with the usual error if the server dies before the batch is sent again', async () => {
    const { client, postgres } = await startKept()
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(STALE)
    await client.expect('ParseComplete')
    await quiet()
    postgres.close()
    await client.expect('ErrorResponse')
    await client.expectClosed()
  })
})

describe('auto_prepare: the client gets the error of an outdated plan, as with a statement of its own,', () => {
  async function expectTold({ client, postgres }: Pair, status: 'I' | 'E' = 'I') {
    await quiet()
    postgres.inbox.take()
    postgres.send(STALE, ready(status))
    expect(await client.answer()).toEqual(['ParseComplete', SHOWN, `ReadyForQuery(${status})`])
    await postgres.expectNothing()
  }

  test('within a transaction', async () => {
    const pair = await startKept()
    const { client, postgres } = pair
    client.send(query('begin'))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    client.send(batch('select 1'))
    await expectTold(pair, 'E')
    client.send(query('rollback'))
    await postgres.expect('Query')
    postgres.send(complete('ROLLBACK'), ready())
    await client.answer()
    // The client gets this error only once.
    client.send(batch('select 1'))
    await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Execute', 'Sync')
    postgres.send(PARSED_RESULT)
    expect(await client.answer()).toEqual(ANSWER)
  })

  test('if there is another statement in the same batch', async () => {
    const pair = await startKept()
    pair.client.send(parse('', 'select 1'), bind('', ''), execute(), batch('select 1'))
    await expectTold(pair)
  })

  /** Prepares a named statement, and gives the client another server, which does not have it. */
  async function startElsewhere(request: Buffer, ...replies: Buffer[]) {
    const pair = await startKept()
    const { flow, client, postgres } = pair
    client.send(request, sync)
    await postgres.expect('Parse(#2, select * from t)')
    await quiet()
    postgres.inbox.take()
    postgres.send(...replies, ready())
    await client.answer()
    const goOn = await occupy(pair)
    const other = await flow.connect()
    other.send(batch('select 1'))
    const second = await flow.postgres.next()
    await second.expect('Parse(#1, select 1)', 'Bind(, #1)', 'Execute', 'Sync')
    second.send(PARSED_RESULT)
    await other.answer()
    return { pair, second, goOn }
  }

  const NAMED = parse('s1', 'select * from t')

  test.each([
    ['bound', bind('', 's1')],
    ['described', describeStatement('s1')],
  ])('if a named statement is %s in the same batch', async (_, request) => {
    const { pair, second, goOn } = await startElsewhere(NAMED, parseComplete)
    pair.client.send(parse('', 'select 1'), bind('', ''), execute(), request, sync)
    await expectTold({ ...pair, postgres: second })
    await goOn()
  })

  test('if a named statement is bound in the same batch, and the server is first asked about its rows', async () => {
    const replies = [parseComplete, parameterDescription(), rowDescription('a')]
    const { pair, second, goOn } = await startElsewhere(join(NAMED, describeStatement('s1')), ...replies)
    pair.client.send(parse('', 'select 1'), bind('', ''), execute(), bind('', 's1'), sync)
    await second.expect('Bind(, #1)', 'Execute', 'Parse(#2, select * from t)', 'Describe', 'Flush')
    second.send(STALE)
    await second.expect('Sync')
    second.send(ready())
    expect(await pair.client.answer()).toEqual(['ParseComplete', SHOWN, 'ReadyForQuery(I)'])
    await goOn()
  })

  test('if another batch has been sent after it', async () => {
    const pair = await startKept()
    pair.client.send(batch('select 1'), batch('select 1'))
    await expectTold(pair)
    await pair.client.expect('ParseComplete')
    pair.postgres.send(STALE, ready())
    expect(await pair.client.answer()).toEqual([SHOWN, 'ReadyForQuery(I)'])
  })

  test('if a later request of the batch has been forwarded in part', async () => {
    const { client, postgres } = await startKept()
    const long = bind('', '', 'x'.repeat(20_000))
    client.send(parse('', 'select 1'), bind('', ''), execute(), long.subarray(0, 10_000))
    await postgres.expect('Bind(, #1)', 'Execute')
    const before = postgres.pendingBytes
    expect(before).toBeGreaterThan(0)
    postgres.send(STALE)
    await client.expect('ParseComplete', SHOWN)
    await quiet()
    expect(postgres.pendingBytes).toBe(before)
    client.send(long.subarray(10_000), sync)
    await postgres.expect('Bind', 'Sync')
    postgres.send(ready())
    expect(await client.answer()).toEqual(['ReadyForQuery(I)'])
  })

  test('if a parameter description is too long to be held back', async () => {
    const { client, postgres } = await startKept()
    client.send(parse('', 'select 1'), describeStatement(''), sync)
    await postgres.expect('Describe(statement, #1)', 'Sync')
    const long = parameterDescription(...new Array<number>(20_000).fill(23))
    postgres.send(long.subarray(0, 1_000))
    await quiet()
    postgres.send(long.subarray(1_000), STALE, ready())
    await client.expect('ParseComplete', 'ParameterDescription', SHOWN, 'ReadyForQuery(I)')
    await postgres.expectNothing()
  })

  test('if the batch is larger than what the pooler keeps to send it again', async () => {
    const pair = await startKept()
    pair.client.send(parse('', 'select 1'), bind('', '', 'x'.repeat(70_000)), execute(), sync)
    await expectTold(pair)
  })

  test('if the client knows what the rows look like, from a Describe in an earlier batch', async () => {
    const { client, postgres } = await startKept()
    client.send(parse('', 'select 1'), describeStatement(''), sync)
    await postgres.expect('Describe', 'Sync')
    postgres.send(parameterDescription(), rowDescription('a'), ready())
    await client.answer()
    client.send(bind('', ''), execute(), sync)
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(STALE, ready())
    expect(await client.answer()).toEqual([SHOWN, 'ReadyForQuery(I)'])
  })

  test('if the client knows what the rows look like, from a Describe before one that Postgres has skipped', async () => {
    const { flow, client, postgres } = await startKept()
    client.send(parse('', 'select 1'), describeStatement(''), sync)
    await postgres.expect('Describe', 'Sync')
    postgres.send(parameterDescription(), rowDescription('a'), ready())
    await client.answer()
    await ask({ client: await flow.connect(), postgres }, 'alter table', 'ALTER TABLE')
    client.send(parse('s1', 'nonsense'), describeStatement(''), sync)
    await postgres.expect('Parse', 'Parse', 'Describe', 'Sync')
    postgres.send(error('42601', 'syntax error'), ready())
    await client.answer()
    client.send(bind('', ''), execute(), sync)
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(STALE, ready())
    expect(await client.answer()).toEqual([SHOWN, 'ReadyForQuery(I)'])
  })

  test('if the client knows what the rows look like, from an earlier execution', async () => {
    const { client, postgres } = await startKept()
    client.send(bind('', ''), execute(), sync)
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(STALE, ready())
    expect(await client.answer()).toEqual([SHOWN, 'ReadyForQuery(I)'])
  })

  test('and first the half of an answer that was held back', async () => {
    const { client, postgres } = await startKept()
    client.send(parse('', 'select 1'), describeStatement(''), flush)
    await postgres.expect('Describe(statement, #1)', 'Flush')
    postgres.send(parameterDescription(23))
    await quiet()
    client.send(parse('', 'select 1'), sync)
    await postgres.expect('Sync')
    postgres.send(STALE, ready())
    expect(await client.answer()).toEqual(['ParseComplete', 'ParameterDescription(23)', SHOWN, 'ReadyForQuery(I)'])
  })

  test('if the statement has a name', async () => {
    const { client, postgres } = await startKept()
    client.send(parse('mine', 'select 1'), bind('', 'mine'), execute(), sync)
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(STALE, ready())
    expect(await client.answer()).toEqual(['ParseComplete', SHOWN, 'ReadyForQuery(I)'])
  })
})

test('auto_prepare: an error of the same kind about a value goes to the client, and nothing is parsed anew', async () => {
  const { client, postgres } = await startKept()
  client.send(batch('select 1'))
  await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
  // The error may be about a table name in a parameter of the type regclass.
  postgres.send(error('42P01', 'relation "nothing" does not exist'), ready())
  expect((await client.answer())[1]).toBe('ErrorResponse(ERROR 42P01 relation "nothing" does not exist)')
  client.send(batch('select 1'))
  await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
  postgres.send(RESULT)
  expect(await client.answer()).toEqual(ANSWER)
})

test('auto_prepare: any other error of the first request goes to the client', async () => {
  const { client, postgres } = await startKept()
  client.send(parse('', 'select 1'), describeStatement(''), bind('', ''), execute(), sync)
  await postgres.expect('Describe', 'Bind', 'Execute', 'Sync')
  postgres.send(join(parameterDescription(23), error('42501', 'permission denied'), ready()))
  expect(await client.answer()).toEqual([
    'ParseComplete',
    'ParameterDescription(23)',
    'ErrorResponse(ERROR 42501 permission denied)',
    'ReadyForQuery(I)',
  ])
})

test('an error that names a statement contains the client’s name for it', async () => {
  const { client, postgres } = await startKept()
  const name = postgres.inbox.all.filter((request) => request.name === 'Parse').at(-1)?.texts[0]
  const words = (of: string) => `bind message supplies 0 parameters, but prepared statement "${of}" requires 1`
  client.send(batch('select 1'))
  await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
  postgres.send(error('08P01', words(`${name}`)), ready())
  expect((await client.answer())[1]).toBe(`ErrorResponse(ERROR 08P01 ${words('')})`)
  client.send(parse('größe', 'select 1'), bind('', 'größe'), sync)
  await postgres.expect('Bind(, #1)', 'Sync')
  postgres.send(error('08P01', words(`${name}`)), ready())
  expect((await client.answer())[1]).toBe(`ErrorResponse(ERROR 08P01 ${words('größe')})`)
})

describe('pooler-generated statements that a function has deallocated', () => {
  const UNKNOWN = /^Parse\((.*), select 1\)$/

  test('are prepared anew, and the server is closed once it is free', async () => {
    const { flow, client, postgres } = await startKept()
    const name = postgres.inbox.all.filter(({ name }) => name === 'Parse').at(-1)?.texts[0]
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(error('26000', `prepared statement "${name}" does not exist`), ready())
    await postgres.expect('Close(statement, #2)', 'Parse(#2, select 1)', 'Bind(, #2)', 'Execute', 'Sync')
    postgres.send(closeComplete, PARSED_RESULT)
    expect(await client.answer()).toEqual(ANSWER)
    await postgres.expectClosed()
    client.send(batch('select 1'))
    const second = await flow.postgres.next()
    expect((await second.inbox.next()).shown).toMatch(UNKNOWN)
    await second.expect('Bind', 'Execute', 'Sync')
    second.send(PARSED_RESULT)
    expect(await client.answer()).toEqual(ANSWER)
  })

  test('are an error within a transaction, and the server is closed once it is free', async () => {
    const { client, postgres } = await startKept()
    const name = postgres.inbox.all.filter(({ name }) => name === 'Parse').at(-1)?.texts[0]
    client.send(query('begin'))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(error('26000', `prepared statement "${name}" does not exist`), ready('E'))
    expect((await client.answer())[1]).toContain('26000')
    client.send(query('rollback'))
    await postgres.expect('Query')
    postgres.send(complete('ROLLBACK'), ready())
    await client.answer()
    await postgres.expectClosed()
  })
})

test('auto_prepare: a client that was told of rows before others were told of new ones gets an error where those have run the text', async () => {
  const pair = await startKept()
  const { flow, client, postgres } = pair
  describeRows(client)
  await postgres.expect('Describe(statement, #1)', 'Sync')
  postgres.send(parameterDescription(), rowDescription('a'), ready())
  expect(await client.answer()).toContain('RowDescription(a)')
  const release = await occupy(pair)
  const other = await flow.connect()
  describeRows(other)
  const second = await flow.postgres.next()
  await second.expect('Parse(#1, select 1)', 'Describe(statement, #1)', 'Sync')
  second.send(parseComplete, parameterDescription(), rowDescription('b'), ready())
  expect(await other.answer()).toContain('RowDescription(b)')
  client.send(bind('', ''), execute(), sync)
  await second.expect('Describe', 'Execute', 'Sync')
  second.send(error('26000', 'no such statement'), ready())
  expect((await client.answer())[0]).toBe(SHOWN)
  await release()
})

function describeRows(client: Pair['client']) {
  client.send(parse('', 'select 1'), describeStatement(''), sync)
}
