/** Parse and Describe of a shared statement never return what was true before a schema change. */

import { describe, expect, test } from 'vitest'
import type { FlowClient } from '../support/flow/client.ts'
import { command } from '../support/flow/commands.ts'
import { DEFAULTS, type FlowServer } from '../support/flow/postgres.ts'
import { ask, occupy, prepare, RESULT, run, startPrepared } from '../support/flow/prepared.ts'
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
  bindFor,
  describePortal,
  describeStatement,
  execute,
  parse,
  query,
  sync,
} from '../support/flow/requests.ts'
import { startFlow, startPair } from '../support/flow/start.ts'

describe('after DDL', () => {
  for (const tag of ['CREATE TABLE', 'ALTER TABLE', 'DROP TABLE'])
    test(`(${tag}), Parse and Describe of a known text go to the server again`, async () => {
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
      // The other name refers to the same text, and so to the statement that has been prepared anew.
      await postgres.expect('Describe(statement, #2)', 'Sync')
      postgres.send(parameterDescription(25), rowDescription('other'), ready())
      expect(await client.answer()).toEqual(['ParameterDescription(25)', 'RowDescription(other)', 'ReadyForQuery(I)'])
    })

  test.each(['create temp table t as select 1', 'select 1 into t'])(
    '(%s) by the extended protocol, whose command tag does not show it, a Parse goes to the server again',
    async (text) => {
      const pair = await startPrepared()
      const { client, postgres } = pair
      client.send(parse('', text), bind('', ''), execute(), sync)
      await postgres.expect('Parse', 'Bind', 'Execute', 'Sync')
      postgres.send(parseComplete, bindComplete, complete('SELECT 1'), ready())
      await client.answer()
      client.send(parse('s2', 'select 1'), sync)
      await postgres.expect('Parse(#2, select 1)', 'Sync')
      postgres.send(parseComplete, ready())
      await client.answer()
    },
  )

  test.each([
    'create temp table t as select 1',
    'select 1 into temp t',
    'WITH a AS (SELECT 1) SELECT * INTO TEMP t FROM a',
  ])('(%s) by a client without prepared statements, a Parse goes to the server again', async (text) => {
    const { flow, client: other, postgres } = await startPrepared()
    const client = await flow.connect()
    client.send(parse('', text), bind('', ''), execute(), sync)
    await postgres.expect('Parse', 'Bind', 'Execute', 'Sync')
    postgres.send(parseComplete, bindComplete, complete('SELECT 1'), ready())
    await client.answer()
    client.send(parse('s1', 'select 1'), sync)
    await postgres.expect('Parse(#2, select 1)', 'Sync')
    postgres.send(parseComplete, ready())
    await client.answer()
    other.leave()
  })

  test('a Bind that is followed by a Describe of its portal is prepared anew; another Bind keeps its plan', async () => {
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

  test('in the pool of another database entry for the same database, a Describe goes to the server again', async () => {
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

  test('in a transaction, only a Parse on the same server goes to the server again, until the COMMIT', async () => {
    const pair = await startPrepared()
    const { flow, client, postgres } = pair
    const other = await flow.connect()
    client.send(query('begin; alter table'))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), complete('ALTER TABLE'), ready('T'))
    await client.answer()
    client.send(parse('s2', 'select 1'), sync)
    await postgres.expect('Parse(#2, select 1)', 'Sync')
    postgres.send(parseComplete, ready('T'))
    await client.answer()
    other.send(parse('s1', 'select 1'), sync)
    const second = await flow.postgres.next()
    await second.expect('Parse(#1, select 1)', 'Sync')
    second.send(parseComplete, ready())
    await other.answer()
    other.send(parse('s2', 'select 1'), sync)
    await second.expect('Sync')
    second.send(ready())
    await other.answer()
    await ask(pair, 'commit', 'COMMIT')
    await other.expectNothing()
    const third = await flow.connect()
    const hold = await occupy({ flow, postgres })
    third.send(parse('s3', 'select 1'), sync)
    await second.expect('Parse(#3, select 1)', 'Sync')
    second.send(parseComplete, ready())
    await third.answer()
    await hold()
  })

  test.each([
    ['the change itself', null, 'alter table', 'ALTER TABLE'],
    ['the COMMIT', 'begin; alter table', 'commit', 'COMMIT'],
  ])(
    'by a client that disconnected before the answer to %s, a Parse goes to the server again',
    async (_, begin, last, tag) => {
      const pair = await startPrepared()
      const { flow, client, postgres } = pair
      const goOn = await occupy(pair)
      const other = await flow.connect()
      if (begin !== null) {
        other.send(query(begin))
        const held = await flow.postgres.next()
        await held.expect('Query')
        held.send(complete('BEGIN'), complete('ALTER TABLE'), ready('T'))
        await other.answer()
      }
      other.send(query(last))
      const second = flow.postgres.open.find((each) => each !== postgres) ?? (await flow.postgres.next())
      await second.expect('Query')
      other.leave()
      await flow.postgres.nextCancel()
      second.send(complete(tag), ready())
      await second.expectClosed()
      await goOn()
      client.send(parse('s2', 'select 1'), sync)
      await postgres.expect('Parse(#2, select 1)', 'Sync')
      postgres.send(parseComplete, ready())
      await client.answer()
    },
  )

  test.each([
    ['a query', ask, 'create temp table t (id int)', 'CREATE TABLE'],
    ['a batch', run, 'create temp table t (id int)', 'CREATE TABLE'],
    ['a batch whose command tag does not show it', run, 'create temp table t as select 1', 'SELECT 1'],
  ])('(CREATE TEMP TABLE, by %s), a Parse goes to the server again on that server only', async (_, make, text, tag) => {
    const pair = await startPrepared()
    const { flow, client, postgres } = pair
    const goOn = await occupy(pair)
    const other = await flow.connect()
    other.send(parse('s1', 'select 1'), sync)
    const second = await flow.postgres.next()
    await second.expect('Parse(#1, select 1)', 'Sync')
    second.send(parseComplete, ready())
    await other.answer()
    await make({ client: other, postgres: second }, text, tag)
    other.send(parse('s2', 'select 1'), sync)
    await second.expect('Parse(#2, select 1)', 'Sync')
    second.send(parseComplete, ready())
    await other.answer()
    const hold = await occupy({ flow, postgres: second })
    await goOn()
    client.send(parse('s2', 'select 1'), bind('', 's2'), sync)
    await postgres.expect('Bind(, #1)', 'Sync')
    postgres.send(bindComplete, ready())
    expect(await client.answer()).toEqual(['ParseComplete', 'BindComplete', 'ReadyForQuery(I)'])
    await hold()
  })

  test('(CREATE TEMP TABLE), an ALTER TABLE before it in the same pipeline affects all servers', async () => {
    const pair = await startPrepared()
    const { flow, client, postgres } = pair
    const goOn = await occupy(pair)
    const other = await flow.connect()
    other.send(parse('a', 'alter table'), bind('', 'a'), execute(), query('create temp table t (id int)'), sync)
    const second = await flow.postgres.next()
    await second.expect('Parse(#2, alter table)', 'Bind(, #2)', 'Execute', 'Query', 'Sync')
    second.send(parseComplete, bindComplete, complete('ALTER TABLE'), complete('CREATE TABLE'), ready(), ready())
    await other.answer()
    await other.answer()
    const hold = await occupy({ flow, postgres: second })
    await goOn()
    client.send(parse('s2', 'select 1'), sync)
    await postgres.expect('Parse(#3, select 1)', 'Sync')
    postgres.send(parseComplete, ready())
    await client.answer()
    await hold()
  })

  test('"cached plan must not change result type" reaches the client, and its next Describe goes to the server again', async () => {
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

  test.each([
    ['have other result columns', error('0A000', 'cached plan must not change result type')],
    [
      'no longer match its parameter types',
      error('42883', 'operator does not exist: text = integer', 'ERROR', { P: '30' }),
    ],
    ['have a parameter of a type that was dropped', error('XX000', 'cache lookup failed for type 26602')],
  ])('a text that turns out to %s is sent to the server at the next Parse, once', async (_, refusal) => {
    const pair = await startPrepared()
    const { flow, client, postgres } = pair
    const other = await flow.connect()
    const refuse = async () => {
      client.send(bind('', 's1'), execute(), sync)
      await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
      postgres.send(refusal, ready())
      await client.answer()
    }
    await refuse()
    await prepare({ client: other, postgres }, 's2', 'select 1')
    // The server refuses the old statement again: that proves no new change.
    await refuse()
    other.send(parse('s3', 'select 1'), bind('', 's3'), sync)
    await postgres.expect('Bind(, #2)', 'Sync')
    postgres.send(bindComplete, ready())
    expect(await other.answer()).toEqual(['ParseComplete', 'BindComplete', 'ReadyForQuery(I)'])
  })

  describe('a client that knows the types of its statement’s parameters, and may send values in their binary format,', () => {
    const TEXT = 'update t set a = $1'

    async function startTold() {
      const pair = await startPair()
      const { client, postgres } = pair
      client.send(parse('s1', TEXT), describeStatement('s1'), sync)
      await postgres.expect('Parse', 'Describe', 'Sync')
      postgres.send(parseComplete, parameterDescription(20), noData, ready())
      await client.answer()
      return pair
    }

    /** Expects a Parse of the text with these types. */
    async function expectParse({ postgres }: Awaited<ReturnType<typeof startTold>>, types: number[]) {
      const { texts, bytes } = await postgres.expect('Parse')
      expect(bytes).toEqual(parse(texts[0] as string, TEXT, types))
    }

    async function forget({ flow, postgres }: Awaited<ReturnType<typeof startTold>>) {
      const other = await flow.connect()
      await ask({ client: other, postgres }, 'discard all', 'DISCARD ALL')
    }

    test('has it prepared with the same types on a server without it', async () => {
      const pair = await startTold()
      const { client, postgres } = pair
      await ask(pair, 'alter table', 'ALTER TABLE')
      await forget(pair)
      client.send(bind('', 's1', Buffer.alloc(8)), execute(), sync)
      await expectParse(pair, [20])
      await postgres.expect('Describe', 'Flush')
      postgres.send(parseComplete, parameterDescription(20), noData)
      await postgres.expect('Bind', 'Execute', 'Sync')
      postgres.send(bindComplete, complete('UPDATE 1'), ready())
      expect(await client.answer()).toEqual(['BindComplete', 'CommandComplete(UPDATE 1)', 'ReadyForQuery(I)'])
    })

    test('has it prepared anew with the same types; a client that asks for the text then gets those of today', async () => {
      const pair = await startTold()
      const { flow, client, postgres } = pair
      await ask(pair, 'alter table', 'ALTER TABLE')
      client.send(bind('', 's1', Buffer.alloc(8)), describePortal(), execute(), sync)
      await expectParse(pair, [20])
      await postgres.expect('Bind', 'Describe', 'Execute', 'Sync')
      postgres.send(parseComplete, bindComplete, noData, complete('UPDATE 1'), ready())
      await client.answer()
      const other = await flow.connect()
      other.send(parse('s1', TEXT), describeStatement('s1'), sync)
      await expectParse(pair, [])
      await postgres.expect('Describe(statement, #3)', 'Sync')
      postgres.send(parseComplete, parameterDescription(701), noData, ready())
      expect((await other.answer())[1]).toBe('ParameterDescription(701)')
    })

    test('keeps them after a change outside the pool; a client that asks for the text on a server without it makes the change known', async () => {
      const pair = await startTold()
      const { flow, postgres } = pair
      await forget(pair)
      const other = await flow.connect()
      other.send(parse('s1', TEXT), describeStatement('s1'), sync)
      await postgres.expect('Close')
      await expectParse(pair, [])
      await postgres.expect('Describe')
      await expectParse(pair, [20])
      await postgres.expect('Describe', 'Sync')
      postgres.send(closeComplete, parseComplete, parameterDescription(701), noData)
      postgres.send(parseComplete, parameterDescription(20), noData, ready())
      expect(await other.answer()).toEqual(['ParseComplete', 'ParameterDescription(20)', 'NoData', 'ReadyForQuery(I)'])
      const third = await flow.connect()
      third.send(parse('s1', TEXT), sync)
      await expectParse(pair, [])
      await postgres.expect('Sync')
      postgres.send(parseComplete, ready())
      expect(await third.answer()).toEqual(['ParseComplete', 'ReadyForQuery(I)'])
    })

    test('gets Postgres’ error if they do not fit any more; a client that asks for the text then gets those of today', async () => {
      const pair = await startTold()
      const { flow, client, postgres } = pair
      await forget(pair)
      client.send(bind('', 's1', Buffer.alloc(8)), execute(), sync)
      await expectParse(pair, [20])
      await postgres.expect('Bind', 'Execute', 'Sync')
      const words = 'column "a" is of type date but expression is of type bigint'
      postgres.send(error('42804', words, 'ERROR', { P: '18' }), ready())
      expect(await client.answer()).toEqual([`ErrorResponse(ERROR 42804 ${words})`, 'ReadyForQuery(I)'])
      const other = await flow.connect()
      other.send(parse('s1', TEXT), sync)
      await expectParse(pair, [])
      await postgres.expect('Sync')
      postgres.send(parseComplete, ready())
      await other.answer()
    })
  })

  describe('a client that relies on an earlier description of rows, on a server without its statement,', () => {
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

    /** The client learns what the rows look like as JDBC does: from the portal, when it first runs the statement. */
    async function startToldByPortal(portal: string, name = 's1') {
      const pair = await startTold(portal, name)
      await ask(pair, 'alter table', 'ALTER TABLE')
      return pair
    }

    async function startTold(portal: string, name = 's1') {
      const pair = await startPair()
      const { client, postgres } = pair
      client.send(parse(name, 'select * from t'), bind(portal, name), describePortal(portal), execute(portal), sync)
      await postgres.expect('Parse', 'Bind', 'Describe', 'Execute', 'Sync')
      postgres.send(parseComplete, bindComplete, rowDescription('a', 'b'), dataRow('1', '2'), complete('SELECT 1'))
      postgres.send(ready())
      await client.answer()
      return pair
    }

    async function forget({ flow, postgres }: Awaited<ReturnType<typeof startOutdated>>) {
      const other = await flow.connect()
      await ask({ client: other, postgres }, 'discard all', 'DISCARD ALL')
    }

    /** The client binds by its description of two columns, and the server now has another second one. */
    async function expectRefusal({ client, postgres }: Awaited<ReturnType<typeof startOutdated>>) {
      client.send(bindFor(2, '', 's1'), execute(), sync)
      await postgres.expect('Parse(#1, select * from t)', 'Describe(statement, #1)', 'Flush')
      postgres.send(parseComplete, parameterDescription(), rowDescription('a', 'c'))
      await postgres.expect('Describe', 'Execute', 'Sync')
      postgres.send(error('26000', 'no such statement'), ready())
      expect((await client.answer())[0]).toContain('cached plan must not change result type')
    }

    test('gets its rows if they still match the description', async () => {
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

    test('gets Postgres’ error if the rows have changed, and may go on', async () => {
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

    test.each(['', 'C_1'])(
      'gets that error also if it knows the rows from the description of a portal, "%s"',
      async (portal) => {
        const pair = await startToldByPortal(portal)
        await forget(pair)
        await expectRefusal(pair)
      },
    )

    test.each([
      ['its statement', [describeStatement('s1')], ['Describe']],
      ['its portal', [bind('', 's1'), describePortal()], ['Bind', 'Describe']],
    ])('still relies on it after a Describe of %s that Postgres has skipped', async (_, again, skipped) => {
      const pair = await startOutdated()
      const { client, postgres } = pair
      client.send(parse('', 'nonsense'), ...again, sync)
      await postgres.expect('Parse(, nonsense)', 'Parse(#2, select * from t)', ...skipped, 'Sync')
      postgres.send(error('42601', 'syntax error'), ready())
      await client.answer()
      client.send(bind('', 's1'), execute(), sync)
      await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
      postgres.send(RESULT)
      await client.answer()
    })

    test('does not get that error because of the description of another statement’s portal', async () => {
      const pair = await startPair()
      const { client, postgres } = pair
      client.send(parse('s1', 'select 1'), parse('s2', 'select 2'), sync)
      await postgres.expect('Parse', 'Parse', 'Sync')
      postgres.send(parseComplete, parseComplete, ready())
      await client.answer()
      client.send(bind('C_1', 's1'), bind('', 's2'), describePortal('C_1'), sync)
      await postgres.expect('Bind', 'Bind', 'Describe', 'Sync')
      postgres.send(bindComplete, bindComplete, rowDescription('a'), ready())
      await client.answer()
      await ask(pair, 'alter table', 'ALTER TABLE')
      await forget(pair)
      client.send(bind('', 's2'), execute(), sync)
      await postgres.expect('Parse(#2, select 2)', 'Bind(, #2)', 'Execute', 'Sync')
      postgres.send(parseComplete, RESULT)
      expect((await client.answer())[0]).toBe('BindComplete')
    })

    test('gets that error also if it asks for the description again, but binds with a number of result columns', async () => {
      const pair = await startToldByPortal('')
      const { client, postgres } = pair
      await forget(pair)
      client.send(bindFor(2, '', 's1'), describePortal(), execute(), sync)
      await postgres.expect('Parse(#1, select * from t)', 'Describe(statement, #1)', 'Flush')
      postgres.send(parseComplete, parameterDescription(), rowDescription('a', 'b', 'c'))
      await postgres.expect('Describe', 'Describe', 'Execute', 'Sync')
      postgres.send(error('26000', 'no such statement'), ready())
      expect((await client.answer())[0]).toContain('cached plan must not change result type')
    })

    // PHP's PDO and Perl's DBD::Pg crash if there are other columns than at first, whatever a new description says.
    test.each(['pdo_stmt_00000001', 'dbdpg_p4711_1'])(
      'gets that error also if it asks for the description again, but will not heed it, as the name %s tells',
      async (name) => {
        const pair = await startToldByPortal('', name)
        const { client, postgres } = pair
        await forget(pair)
        client.send(bind('', name), describePortal(), execute(), sync)
        await postgres.expect('Parse(#1, select * from t)', 'Describe(statement, #1)', 'Flush')
        postgres.send(parseComplete, parameterDescription(), rowDescription('a', 'b', 'c'))
        await postgres.expect('Describe', 'Describe', 'Execute', 'Sync')
        postgres.send(error('26000', 'no such statement'), ready())
        expect((await client.answer())[0]).toContain('cached plan must not change result type')
      },
    )

    test('gets that error also after a RECONNECT, since tables may have been changed elsewhere', async () => {
      const { flow, client } = await startTold('')
      await command(flow, 'reconnect')
      client.send(bindFor(2, '', 's1'), execute(), sync)
      const postgres = await flow.postgres.next()
      await postgres.expect('Parse(#1, select * from t)', 'Describe(statement, #1)', 'Flush')
      postgres.send(parseComplete, parameterDescription(), rowDescription('a', 'c'))
      await postgres.expect('Describe', 'Execute', 'Sync')
      postgres.send(error('26000', 'no such statement'), ready())
      expect((await client.answer())[0]).toContain('cached plan must not change result type')
    })

    describe('if nobody has seen that tables changed, since that was outside the pool,', () => {
      async function startForgotten() {
        const pair = await startTold('')
        await forget(pair)
        return pair
      }

      test('gets that error, too, and other clients’ statements are prepared again', async () => {
        const pair = await startForgotten()
        const { flow, postgres } = pair
        const other = await flow.connect()
        await expectRefusal(pair)
        other.send(parse('s2', 'select * from t'), describeStatement('s2'), sync)
        await postgres.expect('Parse(#2, select * from t)', 'Describe(statement, #2)', 'Sync')
        postgres.send(parseComplete, parameterDescription(), rowDescription('a', 'c'), ready())
        await other.answer()
      })

      test('gets its rows if they still match the description, and the server is asked once', async () => {
        const { client, postgres } = await startForgotten()
        client.send(bindFor(2, '', 's1'), execute(), sync)
        await postgres.expect('Parse(#1, select * from t)', 'Describe(statement, #1)', 'Flush')
        postgres.send(parseComplete, parameterDescription(), rowDescription('a', 'b'))
        await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
        postgres.send(RESULT)
        expect((await client.answer())[0]).toBe('BindComplete')
        client.send(bindFor(2, '', 's1'), execute(), sync)
        await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
        postgres.send(RESULT)
        await client.answer()
      })

      test('gets that error also where another client, which is told the new rows, has the same text prepared', async () => {
        const pair = await startTold('')
        const { flow, client } = pair
        const release = await occupy(pair)
        const other = await flow.connect()
        other.send(parse('s2', 'select * from t'), describeStatement('s2'), sync)
        const second = await flow.postgres.next()
        await second.expect('Parse(#1, select * from t)', 'Describe(statement, #1)', 'Flush')
        second.send(parseComplete, parameterDescription(), rowDescription('a', 'c'))
        await second.expect('Parse(#2, select * from t)', 'Describe(statement, #2)', 'Sync')
        second.send(parseComplete, parameterDescription(), rowDescription('a', 'c'), ready())
        expect(await other.answer()).toContain('RowDescription(a, c)')
        client.send(bindFor(2, '', 's1'), execute(), sync)
        await second.expect('Describe', 'Execute', 'Sync')
        second.send(error('26000', 'no such statement'), ready())
        expect((await client.answer())[0]).toContain('cached plan must not change result type')
        other.send(bindFor(2, '', 's2'), execute(), sync)
        await second.expect('Bind(, #2)', 'Execute', 'Sync')
        second.send(RESULT)
        expect((await other.answer())[0]).toBe('BindComplete')
        await release()
      })

      test('is told the new rows if it asks for them', async () => {
        const { client, postgres } = await startForgotten()
        client.send(bind('', 's1'), describePortal(), execute(), sync)
        await postgres.expect('Parse(#1, select * from t)', 'Bind(, #1)', 'Describe', 'Execute', 'Sync')
        postgres.send(parseComplete, bindComplete, rowDescription('a', 'c'), dataRow('1', '2'))
        postgres.send(complete('SELECT 1'), ready())
        expect((await client.answer())[1]).toBe('RowDescription(a, c)')
      })

      test('need not wait for a description if its statement has no rows', async () => {
        const pair = await startPair()
        const { client, postgres } = pair
        client.send(parse('s1', 'delete from t'), describeStatement('s1'), sync)
        await postgres.expect('Parse', 'Describe', 'Sync')
        postgres.send(parseComplete, parameterDescription(), noData, ready())
        await client.answer()
        await forget(pair)
        client.send(bind('', 's1'), execute(), sync)
        await postgres.expect('Parse(#1, delete from t)', 'Bind(, #1)', 'Execute', 'Sync')
        postgres.send(parseComplete, bindComplete, complete('DELETE 1'), ready())
        await client.answer()
      })
    })

    test('gets that error also if the statement is prepared for it alone, since its settings are not known yet', async () => {
      const pair = await startOutdated()
      const { client, postgres } = pair
      await forget(pair)
      client.send(parse('', 'set timezone = utc'), bind('', ''), execute(), bind('', 's1'), execute(), sync)
      await postgres.expect('Parse(, set timezone = utc)', 'Bind(, )', 'Execute')
      await postgres.expect('Parse(#2, select * from t)', 'Describe(statement, #2)', 'Flush')
      postgres.send(parseComplete, bindComplete, complete('SET'))
      postgres.send(parseComplete, parameterDescription(), rowDescription('b'))
      await postgres.expect('Describe', 'Execute', 'Sync')
      postgres.send(error('26000', 'no such statement'), ready())
      const answer = await client.answer()
      expect(answer.slice(0, 3)).toEqual(['ParseComplete', 'BindComplete', 'CommandComplete(SET)'])
      expect(answer[3]).toContain('cached plan must not change result type')
    })

    describe('after a change of search_path that the server reports', () => {
      /** The client was told `a` of the rows with the path `one`, others `rows` with the path `two`. It then sets `two` on their server. */
      async function startInOther(rows: string) {
        const flow = await startFlow()
        flow.postgres.login = (server) => server.welcome({ ...DEFAULTS, search_path: 'one' })
        const client = await flow.connect()
        const postgres = await flow.postgres.next()
        await describeRows(client, postgres, 'a')
        const release = await occupy({ flow, postgres })
        const other = await flow.connect()
        other.send(query('set search_path = two'))
        const second = await flow.postgres.next()
        await second.expect('Query')
        second.send(complete('SET'), parameterStatus('search_path', 'two'), ready())
        await other.answer()
        await describeRows(other, second, rows)
        client.send(query('set search_path = two'))
        await second.expect("Query(select pg_catalog.set_config('search_path', 'one', false))")
        second.send(parameterStatus('search_path', 'one'), rowDescription('set_config'), dataRow('one'))
        second.send(complete('SELECT 1'), ready())
        await second.expect('Query(set search_path = two)')
        second.send(complete('SET'), parameterStatus('search_path', 'two'), ready())
        await client.answer()
        client.send(bind('', 's1'), execute(), sync)
        return { client, second, release }
      }

      async function describeRows(client: FlowClient, server: FlowServer, rows: string) {
        client.send(parse('s1', 'select * from t'), describeStatement('s1'), sync)
        await server.expect('Parse', 'Describe', 'Sync')
        server.send(parseComplete, parameterDescription(), rowDescription(rows), ready())
        await client.answer()
      }

      test('gets that error if the rows there are not what it was told itself, whatever others were told', async () => {
        const { client, second, release } = await startInOther('b')
        await second.expect('Parse(#3, select * from t)', 'Describe(statement, #3)', 'Flush')
        second.send(parseComplete, parameterDescription(), rowDescription('b'))
        await second.expect('Describe', 'Execute', 'Sync')
        second.send(error('26000', 'no such statement'), ready())
        expect((await client.answer())[0]).toContain('cached plan must not change result type')
        await release()
      })

      test('shares the statement with others that were told the same', async () => {
        const { client, second, release } = await startInOther('a')
        await second.expect('Bind(, #2)', 'Execute', 'Sync')
        second.send(RESULT)
        expect((await client.answer())[0]).toBe('BindComplete')
        await release()
      })
    })

    test('gets Postgres’ own error if the statement can no longer be prepared', async () => {
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
