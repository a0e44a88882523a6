/** With auto_prepare, a server parses an unnamed statement once, and clients do not notice. */

import { describe, expect, test } from 'vitest'
import { ANSWER, keep, PARSED_RESULT, startAuto, startKept } from '../support/flow/auto-prepared.ts'
import { reload } from '../support/flow/commands.ts'
import { quiet } from '../support/flow/inbox.ts'
import { ask, occupy, RESULT } from '../support/flow/prepared.ts'
import {
  bindComplete,
  closeComplete,
  complete,
  dataRow,
  error,
  join,
  noData,
  parameterDescription,
  parameterStatus,
  parseComplete,
  ready,
  rowDescription,
  rows,
} from '../support/flow/replies.ts'
import {
  batch,
  bind,
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

describe('with auto_prepare, an unnamed statement', () => {
  test('is sent unchanged the first time, is prepared under a name the second time, and is not parsed again', async () => {
    const { client, postgres, pool } = await startKept()
    for (let times = 3; times > 0; times--) {
      client.send(batch('select 1'))
      await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
      postgres.send(RESULT)
      expect(await client.answer()).toEqual(ANSWER)
    }
    expect(pool.counters).toMatchObject({
      clientParses: 5,
      serverParses: 2,
      binds: 5,
      autoPrepareHits: 3,
      autoPrepareMisses: 2,
    })
  })

  test('is shared with other clients, including those that have the same text under a name', async () => {
    const { flow, client, postgres } = await startKept()
    const other = await flow.connect()
    other.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(RESULT)
    expect(await other.answer()).toEqual(ANSWER)
    client.send(parse('mine', 'select 1'), bind('', 'mine'), execute(), sync)
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(RESULT)
    expect(await client.answer()).toEqual(ANSWER)
  })

  test('is kept even if a string ends with a backslash, with standard_conforming_strings on', async () => {
    const pair = await startAuto()
    const { client, postgres } = pair
    const text = "select a from t where a like 'b' escape '\\'"
    await keep(pair, text, 1)
    client.send(batch(text))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(RESULT)
    expect(await client.answer()).toEqual(ANSWER)
  })

  test('is parsed once on each server', async () => {
    const pair = await startKept()
    const { flow, client } = pair
    const goOn = await occupy(pair)
    client.send(batch('select 1'))
    const second = await flow.postgres.next()
    await second.expect('Parse(#1, select 1)', 'Bind(, #1)', 'Execute', 'Sync')
    second.send(PARSED_RESULT)
    expect(await client.answer()).toEqual(ANSWER)
    client.send(batch('select 1'))
    await second.expect('Bind(, #1)', 'Execute', 'Sync')
    second.send(RESULT)
    expect(await client.answer()).toEqual(ANSWER)
    await goOn()
  })

  test('can be bound in a later transaction, on another server too', async () => {
    const pair = await startKept()
    const { flow, client, postgres } = pair
    client.send(parse('', 'select 1'), sync)
    await postgres.expect('Sync')
    postgres.send(ready())
    expect(await client.answer()).toEqual(['ParseComplete', 'ReadyForQuery(I)'])
    const goOn = await occupy(pair)
    client.send(bind('', ''), execute(), sync)
    const second = await flow.postgres.next()
    await second.expect('Parse(#1, select 1)', 'Bind(, #1)', 'Execute', 'Sync')
    second.send(PARSED_RESULT)
    expect(await client.answer()).toEqual(ANSWER.slice(1))
    await goOn()
  })

  test('is answered at once, without a Flush, also when it is parsed twice', async () => {
    const { client, postgres } = await startKept()
    client.send(parse('', 'select 1'), flush, parse('', 'select 1'))
    await client.expect('ParseComplete', 'ParseComplete')
    client.send(bind('', ''), flush)
    await postgres.expect('Flush', 'Bind(, #1)', 'Flush')
    postgres.send(bindComplete)
    await client.expect('BindComplete')
    client.send(execute(), sync)
    await postgres.expect('Execute', 'Sync')
    postgres.send(dataRow('1'), complete('SELECT 1'), ready())
    expect(await client.answer()).toEqual(ANSWER.slice(2))
  })

  test('can be described', async () => {
    const { client, postgres } = await startKept()
    for (let times = 2; times > 0; times--) {
      client.send(parse('', 'select 1'), describeStatement(''), bind('', ''), describePortal(), execute(), sync)
      await postgres.expect('Describe(statement, #1)', 'Bind(, #1)', 'Describe(portal, )', 'Execute', 'Sync')
      postgres.send(parameterDescription(25), rowDescription('a'), bindComplete, rowDescription('a'))
      postgres.send(dataRow('1'), complete('SELECT 1'), ready())
      expect(await client.answer()).toEqual([
        'ParseComplete',
        'ParameterDescription(25)',
        'RowDescription(a)',
        'BindComplete',
        'RowDescription(a)',
        ...ANSWER.slice(2),
      ])
    }
  })

  test('can be bound repeatedly, with large values too', async () => {
    const { client, postgres } = await startKept()
    client.send(parse('', 'select 1'), sync)
    await postgres.expect('Sync')
    postgres.send(ready())
    await client.answer()
    const large = bind('', '', 'x'.repeat(300_000))
    for (let times = 2; times > 0; times--) {
      client.send(large.subarray(0, 100_000))
      await quiet()
      expect(postgres.inbox.unread).toHaveLength(0)
      client.send(large.subarray(100_000), execute(), sync)
      const seen = await postgres.expect('Bind')
      expect(seen.bytes.length).toBe(large.length + (seen.texts[1] ?? '').length)
      await postgres.expect('Execute', 'Sync')
      postgres.send(RESULT)
      await client.answer()
    }
  })

  describe('no longer exists', () => {
    async function expectGone({ client, postgres }: Pair) {
      client.send(bind('', ''), execute(), sync)
      await quiet()
      const seen = postgres.inbox.take().map(({ shown }) => shown)
      expect(seen.filter((shown) => !shown.startsWith('Close'))).toEqual(['Bind(, )', 'Execute()', 'Sync'])
      if (seen.length > 3) postgres.send(closeComplete)
      postgres.send(error('26000', 'unnamed prepared statement does not exist'), ready())
      expect((await client.answer())[0]).toContain('26000')
    }

    test('after a simple query', async () => {
      const pair = await startKept()
      await ask(pair, 'select 2', 'SELECT 1')
      await expectGone(pair)
    })

    test('after a Close', async () => {
      const pair = await startKept()
      pair.client.send(closeStatement(''), sync)
      await pair.postgres.expect('Close(statement, )', 'Sync')
      pair.postgres.send(closeComplete, ready())
      await pair.client.answer()
      await expectGone(pair)
    })

    test('after a Parse that failed', async () => {
      const pair = await startKept()
      pair.client.send(parse('', 'selct'), sync)
      await pair.postgres.expect('Parse(, selct)', 'Sync')
      pair.postgres.send(error('42601', 'syntax error'), ready())
      await pair.client.answer()
      await expectGone(pair)
    })

    test('after the pooler’s own Parse of it failed', async () => {
      const pair = await startAuto()
      for (let times = 2; times > 0; times--) {
        pair.client.send(parse('', 'select bad'), bind('', ''), execute(), sync)
        await pair.postgres.expect('Parse', 'Bind', 'Execute', 'Sync')
        pair.postgres.send(error('42703', 'column does not exist'), ready())
        expect((await pair.client.answer())[0]).toContain('42703')
      }
      await expectGone(pair)
    })
  })

  test('replaces one that was sent unchanged, and the other way round', async () => {
    const { client, postgres } = await startKept()
    client.send(parse('', 'show all'), parse('', 'select 1'), bind('', ''), execute(), sync)
    await postgres.expect('Parse(, show all)', 'Bind(, #1)', 'Execute', 'Sync')
    postgres.send(PARSED_RESULT)
    expect(await client.answer()).toEqual(['ParseComplete', ...ANSWER])
    client.send(parse('', 'select 1'), parse('', 'show all'), bind('', ''), execute(), sync)
    await postgres.expect('Parse(, show all)', 'Bind(, )', 'Execute', 'Sync')
    postgres.send(PARSED_RESULT)
    expect(await client.answer()).toEqual(['ParseComplete', ...ANSWER])
  })

  test('of another client never replaces one that was sent unchanged', async () => {
    const { flow, client, postgres } = await startKept()
    client.send(parse('', 'show all'), sync)
    await postgres.expect('Parse(, show all)', 'Sync')
    postgres.send(parseComplete, ready())
    await client.answer()
    const other = await flow.connect()
    other.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(RESULT)
    await other.answer()
    client.send(bind('', ''), execute(), sync)
    await postgres.expect('Bind(, )', 'Execute', 'Sync')
    postgres.send(RESULT)
    await client.answer()
  })
})

describe('auto_prepare sends unchanged, however often it is sent:', () => {
  test.each([
    ['begin', 'BEGIN'],
    ['commit', 'COMMIT'],
    ['set search_path = a', 'SET'],
    ['show all', 'SHOW'],
    ['explain select 1', 'EXPLAIN'],
    ["select * from t where day = 'today'", 'SELECT 1'],
    ["select set_config('a.b', $1, false)", 'SELECT 1'],
    [`select ${'x'.repeat(64 * 1024)}`, 'SELECT 1'],
  ])('%.60s', async (text, tag) => {
    const { client, postgres } = await startAuto()
    for (let times = 3; times > 0; times--) {
      client.send(batch(text))
      const sent = await postgres.expect('Parse')
      expect(sent.texts[0]).toBe('')
      await postgres.expect('Bind(, )', 'Execute', 'Sync')
      postgres.send(parseComplete, bindComplete, complete(tag), ready())
      await client.answer()
    }
  })

  test('any text, with max_prepared_statements = 0', async () => {
    const { client, postgres } = await startAuto({ settings: { max_prepared_statements: 0 } })
    for (let times = 3; times > 0; times--) {
      client.send(batch('select 1'))
      await postgres.expect('Parse(, select 1)', 'Bind(, )', 'Execute', 'Sync')
      postgres.send(PARSED_RESULT)
      expect(await client.answer()).toEqual(ANSWER)
    }
  })

  test('a Parse that is malformed', async () => {
    const { client, postgres } = await startAuto()
    const broken = Buffer.from('P\0\0\0\x0d\0select 1', 'latin1')
    for (let times = 3; times > 0; times--) {
      client.send(broken, sync)
      await postgres.expect('Parse(broken)', 'Sync')
      postgres.send(error('08P01', 'invalid message format'), ready())
      expect((await client.answer())[0]).toContain('08P01')
    }
  })
})

describe('auto_prepare tells texts apart', () => {
  async function expectParsed(pair: Pair, parsed: Buffer, name: string) {
    const { client, postgres } = pair
    for (const sent of ['Parse(, ', `Parse(${name}, `]) {
      client.send(parsed, sync)
      const seen = await postgres.expect('Parse')
      expect(seen.shown).toContain(sent)
      await postgres.expect('Sync')
      postgres.send(parseComplete, ready())
      await client.answer()
    }
  }

  test('by parameter types', async () => {
    const pair = await startKept()
    await expectParsed(pair, parse('', 'select 1', [23]), '#2')
    await expectParsed(pair, parse('', 'select 1', [25]), '#3')
  })

  test('by every character', async () => {
    const pair = await startKept()
    await expectParsed(pair, parse('', 'select 1 '), '#2')
    await expectParsed(pair, parse('', 'select 2'), '#3')
  })

  test('by the settings that affect their meaning', async () => {
    const pair = await startKept()
    const { flow, postgres } = pair
    const login = (await flow.dial()).login({ parameters: { TimeZone: 'Asia/Tokyo' } })
    await postgres.expect('Query')
    postgres.send(parameterStatus('TimeZone', 'Asia/Tokyo'), rowDescription('set_config'), dataRow('Asia/Tokyo'))
    postgres.send(complete('SELECT 1'), ready())
    const client = await login
    // The text is known from other settings, so the server keeps it at the first use.
    client.send(batch('select 1'))
    await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Execute', 'Sync')
    postgres.send(PARSED_RESULT)
    expect(await client.answer()).toEqual(ANSWER)
  })

  test('by a setting that has changed within the transaction', async () => {
    const { client, postgres } = await startKept()
    client.send(query('begin; set local timezone = utc'))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), complete('SET'), parameterStatus('TimeZone', 'UTC'), ready('T'))
    await client.answer()
    client.send(batch('select 1'))
    await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Execute', 'Sync')
    postgres.send(parseComplete, bindComplete, dataRow('1'), complete('SELECT 1'), ready('T'))
    await client.answer()
    client.send(query('rollback'))
    await postgres.expect('Query')
    postgres.send(complete('ROLLBACK'), parameterStatus('TimeZone', 'Etc/UTC'), ready())
    await client.answer()
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(RESULT)
    expect(await client.answer()).toEqual(ANSWER)
  })
})

describe('limits of auto_prepare', () => {
  test('max_prepared_statements: the least recently used statement is closed', async () => {
    const pair = await startAuto({ settings: { max_prepared_statements: 2 } })
    const { client, postgres } = pair
    await keep(pair, 'select 1', 1)
    await keep(pair, 'select 2', 2)
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(RESULT)
    await client.answer()
    client.send(parse('', 'select 3'), sync)
    await postgres.expect('Parse(, select 3)', 'Sync')
    postgres.send(parseComplete, ready())
    await client.answer()
    client.send(parse('', 'select 3'), sync)
    await postgres.expect('Close(statement, #2)', 'Parse(#3, select 3)', 'Sync')
    postgres.send(closeComplete, parseComplete, ready())
    await client.answer()
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(RESULT)
    expect(await client.answer()).toEqual(ANSWER)
  })

  test('auto_prepare_max_bytes: as many statements are closed as a larger one needs', async () => {
    const pair = await startAuto({ settings: { auto_prepare_max_bytes: 200 } })
    const { flow, client, postgres } = pair
    for (const number of [1, 2, 3]) await keep(pair, `select ${number}`.padEnd(50), number)
    const large = `select 4`.padEnd(120)
    client.send(batch(large))
    await postgres.expect('Parse', 'Bind(, )', 'Execute', 'Sync')
    postgres.send(PARSED_RESULT)
    await client.answer()
    client.send(batch(large))
    await postgres.expect('Close(statement, #1)', 'Close(statement, #2)', 'Parse', 'Bind(, #4)', 'Execute', 'Sync')
    postgres.send(closeComplete, closeComplete, PARSED_RESULT)
    expect(await client.answer()).toEqual(ANSWER)
    const [server] = flow.pool().servers('idle')
    expect(server?.statements.size).toBe(2)
  })

  test('texts that are sent only once displace no statement', async () => {
    const pair = await startAuto({ settings: { max_prepared_statements: 1 } })
    const { client, postgres } = pair
    await keep(pair, 'select 1', 1)
    for (let id = 100; id < 200; id++) {
      client.send(batch(`select * from t where id = ${id}`))
      await postgres.expect('Parse', 'Bind(, )', 'Execute', 'Sync')
      postgres.send(PARSED_RESULT)
      await client.answer()
    }
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(RESULT)
    expect(await client.answer()).toEqual(ANSWER)
  })
})

describe('the setting auto_prepare', () => {
  async function expectKeeps(options: FlowOptions, keeps: boolean) {
    const { client, postgres } = await startPair(options)
    for (const name of ['', keeps ? '#1' : '']) {
      client.send(batch('select 1'))
      await postgres.expect(`Parse(${name}, select 1)`, `Bind(, ${name})`, 'Execute', 'Sync')
      postgres.send(PARSED_RESULT)
      await client.answer()
    }
  }

  test('is off by default', () => expectKeeps({}, false))
  test('can be set for a database', () => expectKeeps({ databases: ['app=host=db auto_prepare=1'] }, true))
  test('of a database takes precedence over the general one', () =>
    expectKeeps({ settings: { auto_prepare: 1 }, databases: ['app=host=db auto_prepare=0'] }, false))
  test('of a user takes precedence over that of the database', () =>
    expectKeeps({ databases: ['app=host=db auto_prepare=0'], users: ['ada = auto_prepare=1'] }, true))
  test('applies in statement mode', () => expectKeeps({ settings: { auto_prepare: 1, pool_mode: 'statement' } }, true))
  test('applies in session mode', () =>
    expectKeeps({ settings: { auto_prepare: 1, pool_mode: 'session', server_reset_query: '' } }, true))

  test('can be changed by a reload, after which a kept statement can still be bound', async () => {
    const pair = await startKept()
    const { flow, client, postgres } = pair
    await reload(flow, { settings: { auto_prepare: 0 } })
    client.send(bind('', ''), execute(), sync)
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(RESULT)
    expect(await client.answer()).toEqual(ANSWER.slice(1))
    client.send(batch('select 1'))
    await postgres.expect('Parse(, select 1)', 'Bind(, )', 'Execute', 'Sync')
    postgres.send(PARSED_RESULT)
    expect(await client.answer()).toEqual(ANSWER)
    await reload(flow, { settings: { auto_prepare: 1 } })
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(RESULT)
    expect(await client.answer()).toEqual(ANSWER)
  })
})

describe('auto_prepare in session mode', () => {
  async function startSession() {
    const pair = await startAuto({ settings: { pool_mode: 'session', default_pool_size: 1 } })
    await pair.postgres.expect('Query(DISCARD ALL)')
    pair.postgres.send(complete('DISCARD ALL'), ready())
    await keep(pair, 'select 1', 1)
    return pair
  }

  test('passes the client’s own statement names through', async () => {
    const { client, postgres } = await startSession()
    client.send(parse('mine', 'select 1'), bind('', 'mine'), execute(), closeStatement('mine'), sync)
    await postgres.expect('Parse(mine, select 1)', 'Bind(, mine)', 'Execute', 'Close(statement, mine)', 'Sync')
    postgres.send(parseComplete, bindComplete, dataRow('1'), complete('SELECT 1'), closeComplete, ready())
    await client.answer()
    client.send(query('deallocate mine'))
    await postgres.expect('Query(deallocate mine)')
    postgres.send(complete('DEALLOCATE'), ready())
    await client.answer()
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(RESULT)
    expect(await client.answer()).toEqual(ANSWER)
  })

  test('does not confuse a name that another pgweir in front generated with one of its own', async () => {
    const { client, postgres } = await startSession()
    const parsed = postgres.inbox.all.findLast(({ name }) => name === 'Parse')
    const ours = parsed?.texts[0] as string
    client.send(closeStatement(ours), parse(ours, 'select 2'), describeStatement(ours), bind('', ours), execute(), sync)
    await postgres.expect('Parse(#2, select 2)', 'Describe(statement, #2)', 'Bind(, #2)', 'Execute', 'Sync')
    postgres.send(parseComplete, parameterDescription(), rowDescription('a'), RESULT)
    await client.expect('CloseComplete')
    await client.answer()
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(RESULT)
    expect(await client.answer()).toEqual(ANSWER)
    client.send(query(`deallocate ${ours}`))
    await postgres.expectNothing()
    expect(await client.answer()).toEqual(['CommandComplete(DEALLOCATE)', 'ReadyForQuery(I)'])
    client.send(bind('', ours), execute(), sync)
    await postgres.expect('Describe', 'Execute', 'Sync')
    postgres.send(error('26000', 'no such statement'), ready())
    expect((await client.answer())[0]).toContain(`26000 prepared statement "${ours}" does not exist`)
  })

  test('an error does not contain a shared name, even if the statement was replaced before the error came', async () => {
    const { client, postgres } = await startSession()
    const name = postgres.inbox.all.filter((request) => request.name === 'Parse').at(-1)?.texts[0]
    const words = (of: string) => `bind message supplies 0 parameters, but prepared statement "${of}" requires 1`
    client.send(batch('select 1'), query('select 2'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync', 'Query(select 2)')
    postgres.send(error('08P01', words(`${name}`)), ready())
    expect((await client.answer())[1]).toBe(`ErrorResponse(ERROR 08P01 ${words('')})`)
    postgres.send(complete('SELECT 1'), ready())
    await client.expect('CommandComplete(SELECT 1)', 'ReadyForQuery(I)')
  })

  test('prepares statements anew after the reset between two clients', async () => {
    const { flow, client, postgres } = await startSession()
    client.leave()
    await postgres.expect('Query(DISCARD ALL)')
    postgres.send(complete('DISCARD ALL'), ready())
    const other = await flow.connect()
    other.send(batch('select 1'))
    await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Execute', 'Sync')
    postgres.send(PARSED_RESULT)
    expect(await other.answer()).toEqual(ANSWER)
  })
})

describe('auto_prepare, after DEALLOCATE ALL:', () => {
  test('a kept statement is prepared anew', async () => {
    const pair = await startKept()
    const { client, postgres } = pair
    await ask(pair, 'deallocate all', 'DEALLOCATE ALL')
    client.send(batch('select 1'))
    await quiet()
    const seen = postgres.inbox.take().map(({ name }) => name)
    expect(seen).toEqual(['Parse', 'Bind', 'Execute', 'Sync'])
    postgres.send(PARSED_RESULT)
    expect(await client.answer()).toEqual(ANSWER)
  })

  test('in the same pipeline, a kept statement is bound only once DEALLOCATE ALL has been answered', async () => {
    const { client, postgres } = await startKept()
    client.send(parse('all', 'deallocate all'), sync, parse('', 'select 1'), sync)
    await postgres.expect('Parse(#2, deallocate all)', 'Sync', 'Sync')
    postgres.send(parseComplete, ready(), ready())
    await client.answer()
    await client.answer()
    client.send(bind('', 'all'), execute(), bind('', ''), execute(), sync)
    await postgres.expect('Bind(, #2)', 'Execute', 'Flush')
    postgres.send(bindComplete, complete('DEALLOCATE ALL'))
    await client.expect('BindComplete', 'CommandComplete')
    await postgres.expect('Parse(#3, select 1)', 'Bind(, #3)', 'Execute', 'Sync')
    postgres.send(PARSED_RESULT)
    expect(await client.answer()).toEqual(ANSWER.slice(1))
  })
})

describe('auto_prepare, when tables change:', () => {
  test.each([
    ['create table a (b int)', 'CREATE TABLE'],
    ['alter table a add b int', 'ALTER TABLE'],
    ['drop table a', 'DROP TABLE'],
    ['do $$ begin alter table a add b int; end $$', 'DO'],
    // A SELECT tag without a description of rows: CREATE TABLE AS, or SELECT INTO.
    ['create table a as select 1', 'SELECT 1'],
  ])('a kept statement is prepared anew after a simple query (%s)', async (text, tag) => {
    const pair = await startKept()
    const { client, postgres } = pair
    await ask(pair, text, tag)
    client.send(batch('select 1'))
    await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Execute', 'Sync')
    postgres.send(PARSED_RESULT)
    expect(await client.answer()).toEqual(ANSWER)
  })

  test.each(['create table a as select 1', 'select 1 into a', 'create table a (b int)'])(
    'a kept statement is prepared anew after an extended query (%s)',
    async (text) => {
      const pair = await startKept()
      const { client, postgres } = pair
      client.send(batch(text))
      await postgres.expect('Parse', 'Bind(, )', 'Execute', 'Sync')
      postgres.send(parseComplete, bindComplete, complete('SELECT 1'), ready())
      await client.answer()
      client.send(batch('select 1'))
      await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Execute', 'Sync')
      postgres.send(PARSED_RESULT)
      expect(await client.answer()).toEqual(ANSWER)
    },
  )

  test('a kept statement is not prepared anew after a plain SELECT', async () => {
    const { client, postgres } = await startKept()
    client.send(query('select 2; select 3'))
    await postgres.expect('Query')
    postgres.send(rows('2'), rows('3'), ready())
    await client.answer()
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(RESULT)
    expect(await client.answer()).toEqual(ANSWER)
  })

  test('between a client’s Parse and Bind, without a Describe, its statement is prepared anew', async () => {
    const pair = await startKept()
    const { flow, client, postgres } = pair
    client.send(parse('', 'select 1'), sync)
    await postgres.expect('Sync')
    postgres.send(ready())
    await client.answer()
    const other = await flow.connect()
    await ask({ client: other, postgres }, 'alter table t add a int', 'ALTER TABLE')
    client.send(bind('', ''), execute(), sync)
    await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Execute', 'Sync')
    postgres.send(PARSED_RESULT)
    expect(await client.answer()).toEqual(ANSWER.slice(1))
  })
})

describe('auto_prepare, within a transaction:', () => {
  test('a kept statement is used', async () => {
    const { client, postgres } = await startKept()
    client.send(query('begin'))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(bindComplete, dataRow('1'), complete('SELECT 1'), ready('T'))
    expect(await client.answer()).toEqual([...ANSWER.slice(0, -1), 'ReadyForQuery(T)'])
    client.send(query('commit'))
    await postgres.expect('Query')
    postgres.send(complete('COMMIT'), ready())
    await client.answer()
  })

  test('a kept statement is used behind the BEGIN of the same batch, as JDBC sends it', async () => {
    const { client, postgres } = await startKept()
    client.send(parse('', 'BEGIN'), bind('', ''), execute(), batch('select 1'))
    await postgres.expect('Parse(, BEGIN)', 'Bind(, )', 'Execute', 'Bind(, #1)', 'Execute', 'Sync')
    postgres.send(parseComplete, bindComplete, complete('BEGIN'))
    postgres.send(bindComplete, dataRow('1'), complete('SELECT 1'), ready('T'))
    expect(await client.answer()).toEqual([
      'ParseComplete',
      'BindComplete',
      'CommandComplete(BEGIN)',
      ...ANSWER.slice(0, -1),
      'ReadyForQuery(T)',
    ])
    client.send(query('commit'))
    await postgres.expect('Query')
    postgres.send(complete('COMMIT'), ready())
    await client.answer()
  })

  test('a Parse in a failed transaction is refused by Postgres', async () => {
    const { client, postgres } = await startKept()
    client.send(query('begin; selct'))
    await postgres.expect('Query')
    postgres.send(error('42601', 'syntax error'), ready('E'))
    await client.answer()
    client.send(batch('select 1'))
    await postgres.expect('Parse(, select 1)', 'Bind(, )', 'Execute', 'Sync')
    postgres.send(error('25P02', 'current transaction is aborted'), ready('E'))
    expect(await client.answer()).toEqual([
      'ErrorResponse(ERROR 25P02 current transaction is aborted)',
      'ReadyForQuery(E)',
    ])
    client.send(query('rollback'))
    await postgres.expect('Query')
    postgres.send(complete('ROLLBACK'), ready())
    await client.answer()
  })
})

describe('auto_prepare, after a setting that affects the meaning of texts and is not reported:', () => {
  /** Begins a transaction and sends the request that sets something in it. */
  async function set({ client, postgres }: Pick<Pair, 'client' | 'postgres'>, request: Buffer) {
    client.send(query('begin'))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    client.send(request)
    await quiet()
    const isQuery = postgres.inbox.take().length === 1
    postgres.send(...(isQuery ? [] : [parseComplete, bindComplete]), complete('SET'), ready('T'))
    await client.answer()
  }

  async function expectAsItIs({ client, postgres }: Pick<Pair, 'client' | 'postgres'>) {
    client.send(batch('select 1'))
    await postgres.expect('Parse(, select 1)', 'Bind(, )', 'Execute', 'Sync')
    postgres.send(parseComplete, bindComplete, complete('SELECT 0'), ready('T'))
    await client.answer()
    client.send(query('commit'))
    await postgres.expect('Query')
    postgres.send(complete('COMMIT'), ready())
    await client.answer()
  }

  test.each([
    ['SET LOCAL', query('set local search_path = tenant')],
    ['SET LOCAL by the extended protocol', batch("set local schema 'tenant'")],
    ['set_config', batch("select set_config('search_path', $1, true)")],
    ['a query of several commands', query('savepoint a; set local array_nulls = off')],
  ])('a text is sent unchanged until the transaction ends: %s', async (_, request) => {
    const pair = await startKept()
    await set(pair, request)
    await expectAsItIs(pair)
    // After the transaction nothing is left of the setting.
    pair.client.send(batch('select 1'))
    await pair.postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    pair.postgres.send(RESULT)
    expect(await pair.client.answer()).toEqual(ANSWER)
  })

  test('texts are told apart by search_path where the server reports it', async () => {
    const pair = await startAuto()
    const { client, postgres } = pair
    client.send(query('select 1'))
    await postgres.expect('Query')
    postgres.send(parameterStatus('search_path', 'public'), rows('1'), ready())
    await client.answer()
    await keep(pair, 'select 1', 1)
    client.send(query('begin; set local search_path = tenant'))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), parameterStatus('search_path', 'tenant'), complete('SET'), ready('T'))
    await client.answer()
    client.send(batch('select 1'))
    await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Execute', 'Sync')
    postgres.send(parseComplete, bindComplete, complete('SELECT 0'), ready('T'))
    await client.answer()
    client.send(query('commit'))
    await postgres.expect('Query')
    postgres.send(parameterStatus('search_path', 'public'), complete('COMMIT'), ready())
    await client.answer()
  })

  test('in session mode a text is prepared anew, since the setting may outlast the transaction', async () => {
    const pair = await startAuto({ settings: { pool_mode: 'session', server_reset_query: '' } })
    await keep(pair, 'select 1', 1)
    await ask(pair, 'set array_nulls = off', 'SET')
    const { client, postgres } = pair
    client.send(batch('select 1'))
    await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Execute', 'Sync')
    postgres.send(PARSED_RESULT)
    expect(await client.answer()).toEqual(ANSWER)
    client.send(batch('select 1'))
    await postgres.expect('Bind(, #2)', 'Execute', 'Sync')
    postgres.send(RESULT)
    expect(await client.answer()).toEqual(ANSWER)
  })
})

test('auto_prepare in session mode: a SET under a statement name of the client also changes the meaning of texts', async () => {
  const pair = await startAuto({ settings: { pool_mode: 'session', server_reset_query: '' } })
  const { client, postgres } = pair
  await keep(pair, 'select 1', 1)
  client.send(parse('s1', 'set array_nulls = off'), sync)
  await postgres.expect('Parse(s1, set array_nulls = off)', 'Sync')
  postgres.send(parseComplete, ready())
  await client.answer()
  client.send(bind('', 's1'), execute(), sync)
  await postgres.expect('Bind(, s1)', 'Execute', 'Sync')
  postgres.send(bindComplete, complete('SET'), ready())
  await client.answer()
  client.send(batch('select 1'))
  await postgres.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Execute', 'Sync')
  postgres.send(PARSED_RESULT)
  expect(await client.answer()).toEqual(ANSWER)
})

test('auto_prepare: a statement description that comes in pieces reaches the client complete', async () => {
  const { client, postgres } = await startKept()
  client.send(parse('', 'select 1'), describeStatement(''), sync)
  await postgres.expect('Describe(statement, #1)', 'Sync')
  await postgres.sendPieces(splitEvery(join(parameterDescription(23, 25), noData, ready()), 1))
  expect(await client.answer()).toEqual(['ParseComplete', 'ParameterDescription(23, 25)', 'NoData', 'ReadyForQuery(I)'])
})

function splitEvery(bytes: Buffer, length: number): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; at += length) pieces.push(bytes.subarray(at, at + length))
  return pieces
}
