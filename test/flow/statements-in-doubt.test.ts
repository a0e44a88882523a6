/** Rule 3, for statements in pipelines: a request after a batch that may have failed means what it would mean to Postgres. */

import { describe, expect, test } from 'vitest'
import { quiet } from '../support/flow/inbox.ts'
import { ask, occupy, prepare, RESULT, startPrepared } from '../support/flow/prepared.ts'
import {
  bindComplete,
  closeComplete,
  complete,
  copyIn,
  error,
  noData,
  parameterDescription,
  parameterStatus,
  parseComplete,
  ready,
  rows,
} from '../support/flow/replies.ts'
import { bind, closeStatement, describeStatement, execute, parse, query, sync } from '../support/flow/requests.ts'
import { type Pair, startPair } from '../support/flow/start.ts'

const GONE = error('26000', 'prepared statement "s1" does not exist')

/** The client still has its statement `s1`. */
async function bindAgain({ client, postgres }: Pick<Pair, 'client' | 'postgres'>): Promise<void> {
  client.send(bind('', 's1'), sync)
  await postgres.expect('Bind(, #1)', 'Sync')
  postgres.send(bindComplete, ready())
  await client.expect('BindComplete', 'ReadyForQuery(I)')
}

describe('after a command that drops statements and is not answered yet', () => {
  const COMMANDS: readonly [how: string, tag: string, send: readonly Buffer[], ...sent: string[]][] = [
    ['DEALLOCATE ALL', 'DEALLOCATE ALL', [query('deallocate all')], 'Query(deallocate all)'],
    ['DISCARD ALL', 'DISCARD ALL', [query(' discard all;')], 'Query( discard all;)'],
    [
      'several commands in one query',
      'DEALLOCATE ALL',
      [query('deallocate all; select 1')],
      'Query(deallocate all; select 1)',
    ],
    [
      'a batch with DEALLOCATE ALL',
      'DEALLOCATE ALL',
      [parse('', 'deallocate all'), bind('', ''), execute(), sync],
      ...['Parse(, deallocate all)', 'Bind(, )', 'Execute', 'Sync'],
    ],
  ]

  function replies(send: readonly Buffer[], tag: string): Buffer[] {
    return send.length === 1 ? [complete(tag), ready()] : [parseComplete, bindComplete, complete(tag), ready()]
  }

  for (const [how, tag, send, ...sent] of COMMANDS) {
    test(`(${how}), old names are unknown and new ones can be used`, async () => {
      const { client, postgres } = await startPrepared()
      client.send(...send, bind('', 's1'), execute(), sync, parse('s1', 'select 2'), bind('', 's1'), execute(), sync)
      await postgres.expect(...sent)
      await postgres.expectNothing()
      postgres.send(...replies(send, tag))
      await client.answer()
      await postgres.expect('Bind(, s1)', 'Execute', 'Sync')
      postgres.send(GONE, ready())
      await postgres.expect('Parse(#2, select 2)', 'Bind(, #2)', 'Execute', 'Sync')
      postgres.send(parseComplete, RESULT)
      expect(await client.answer()).toEqual([
        'ErrorResponse(ERROR 26000 prepared statement "s1" does not exist)',
        'ReadyForQuery(I)',
      ])
      expect(await client.answer()).toContain('DataRow(1)')
      expect(postgres.isClosed).toBe(false)
    })

    test(`(${how}), the names are what they were if the command fails`, async () => {
      const { client, postgres } = await startPrepared()
      client.send(...send, bind('', 's1'), execute(), sync)
      await postgres.expect(...sent)
      await postgres.expectNothing()
      postgres.send(error('25001', 'cannot run inside a transaction block'), ready())
      await client.answer()
      await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
      postgres.send(RESULT)
      expect(await client.answer()).toContain('DataRow(1)')
    })
  }

  test('that was prepared under a name, old names are unknown', async () => {
    const { client, postgres } = await startPrepared()
    client.send(parse('s2', 'DISCARD ALL'), bind('', 's2'), execute(), sync, describeStatement('s1'), sync)
    await postgres.expect('Parse(#2, DISCARD ALL)', 'Bind(, #2)', 'Execute', 'Sync')
    await postgres.expectNothing()
    postgres.send(parseComplete, bindComplete, complete('DISCARD ALL'), ready())
    await client.answer()
    await postgres.expect('Describe(statement, s1)', 'Sync')
    postgres.send(GONE, ready())
    expect((await client.answer())[0]).toContain('26000')
  })

  test('in the same batch, the server is sent a Flush, to learn the answer', async () => {
    const { client, postgres } = await startPrepared()
    client.send(parse('', 'deallocate all'), bind('', ''), execute(), bind('', 's1'), execute(), sync, query('two'))
    await postgres.expect('Parse(, deallocate all)', 'Bind(, )', 'Execute', 'Flush')
    await postgres.expectNothing()
    postgres.send(parseComplete, bindComplete, complete('DEALLOCATE ALL'))
    await postgres.expect('Bind(, s1)', 'Execute', 'Sync', 'Query(two)')
    postgres.send(GONE, ready(), rows('2'), ready())
    expect(await client.answer()).toHaveLength(5)
    expect(await client.answer()).toContain('DataRow(2)')
  })

  test('in the same batch, the rest is skipped if the command fails', async () => {
    const { client, postgres } = await startPrepared()
    client.send(parse('', 'deallocate all'), bind('', ''), execute(), bind('', 's1'), execute(), sync, query('two'))
    await postgres.expect('Parse(, deallocate all)', 'Bind(, )', 'Execute', 'Flush')
    postgres.send(error('25P02', 'current transaction is aborted'))
    await postgres.expect('Sync', 'Query(two)')
    postgres.send(ready(), rows('2'), ready())
    expect(await client.answer()).toHaveLength(2)
    expect(await client.answer()).toContain('DataRow(2)')
  })

  test('requests that name no statement do not wait', async () => {
    const { client, postgres } = await startPrepared()
    client.send(query('discard all'), query('two'), parse('', 'three'), bind('', ''), execute(), sync)
    await postgres.expect('Query(discard all)', 'Query(two)', 'Parse(, three)', 'Bind(, )', 'Execute', 'Sync')
    postgres.send(complete('DISCARD ALL'), ready(), rows('2'), ready(), parseComplete, RESULT)
    for (let left = 3; left > 0; left--) await client.answer()
    expect(postgres.isClosed).toBe(false)
  })

  test('the server is closed if the command was not recognized in time', async () => {
    const { client, postgres } = await startPrepared()
    client.send(query('select 1; deallocate all'), bind('', 's1'), sync)
    await postgres.expect('Query(select 1; deallocate all)', 'Bind(, #1)', 'Sync')
    postgres.send(complete('DEALLOCATE ALL'), ready())
    await client.answer()
    postgres.send(bindComplete, ready())
    await client.answer()
    await postgres.expectClosed()
  })

  test.each(['-- a comment\ndeallocate s1', ' /*app*/ DEALLOCATE /* the */ PREPARE s1; -- now'])(
    '(DEALLOCATE of one name) the name is unknown, whatever comments the command contains: %j',
    async (text) => {
      const { client, postgres } = await startPrepared()
      client.send(query(text))
      await postgres.expectNothing()
      expect(await client.answer()).toEqual(['CommandComplete(DEALLOCATE)', 'ReadyForQuery(I)'])
      client.send(bind('', 's1'), sync)
      await postgres.expect('Bind(, s1)', 'Sync')
      postgres.send(GONE, ready())
      expect((await client.answer())[0]).toContain('26000')
    },
  )

  test('(DEALLOCATE of one name) it waits for the requests before it', async () => {
    const { client, postgres } = await startPrepared()
    client.send(bind('', 's1'), execute(), sync, query('deallocate s1'), bind('', 's1'), execute(), sync)
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    await postgres.expectNothing()
    postgres.send(RESULT)
    await client.answer()
    expect(await client.answer()).toEqual(['CommandComplete(DEALLOCATE)', 'ReadyForQuery(I)'])
    await postgres.expect('Bind(, s1)', 'Execute', 'Sync')
    postgres.send(GONE, ready())
    expect((await client.answer())[0]).toContain('26000')
  })

  const DOOMED = ['Close(statement, pgweir_doomed)', 'Parse(pgweir_doomed, )', 'Query(deallocate pgweir_doomed)']

  test('(DEALLOCATE of one name) it is answered in its place in a batch', async () => {
    const { client, postgres } = await startPrepared()
    client.send(bind('', 's1'), execute(), query('deallocate s1'))
    await postgres.expect('Bind(, #1)', 'Execute', ...DOOMED)
    postgres.send(bindComplete, complete('SELECT 1'), closeComplete, parseComplete, complete('DEALLOCATE'), ready())
    expect(await client.answer()).toEqual([
      'BindComplete',
      'CommandComplete(SELECT 1)',
      'CommandComplete(DEALLOCATE)',
      'ReadyForQuery(I)',
    ])
    client.send(bind('', 's1'), sync)
    await postgres.expect('Bind(, s1)', 'Sync')
    postgres.send(GONE, ready())
    expect((await client.answer())[0]).toContain('26000')
  })

  test('(DEALLOCATE of one name) the name is kept if the command is skipped with its batch', async () => {
    const { client, postgres } = await startPrepared()
    client.send(bind('', 'unknown'), query('deallocate s1'), sync)
    await postgres.expect('Bind(, unknown)', ...DOOMED, 'Sync')
    postgres.send(GONE, ready())
    expect(await client.answer()).toHaveLength(2)
    await bindAgain({ client, postgres })
  })

  test('(DEALLOCATE of one name) in a batch it waits for the queries before that batch', async () => {
    const { client, postgres } = await startPrepared()
    client.send(query('begin'), bind('', 's1'), query('deallocate s1'))
    await postgres.expect('Query(begin)', 'Bind(, #1)')
    await postgres.expectNothing()
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    await postgres.expect(...DOOMED)
    postgres.send(bindComplete, closeComplete, parseComplete, complete('DEALLOCATE'), ready('T'))
    expect(await client.answer()).toEqual(['BindComplete', 'CommandComplete(DEALLOCATE)', 'ReadyForQuery(T)'])
    client.send(query('commit'))
    await postgres.expect('Query(commit)')
    postgres.send(complete('COMMIT'), ready())
    await client.answer()
  })
})

describe('a statement `deallocate s1` that the client has named', () => {
  const MADE = ['Close(statement, pgweir_doomed)', 'Parse(pgweir_doomed, )']
  const DEALLOCATES = 'Parse(#3, deallocate pgweir_doomed)'
  const DEALLOCATED = ['BindComplete', 'CommandComplete(DEALLOCATE)', 'ReadyForQuery(I)']

  async function startDeallocating() {
    const pair = await startPrepared()
    await prepare(pair, 'd1', 'deallocate s1')
    return pair
  }

  test('drops that statement each time that it is run', async () => {
    const { client, postgres } = await startDeallocating()
    client.send(bind('', 'd1'), execute(), sync)
    await postgres.expect(...MADE, DEALLOCATES, 'Bind(, #3)', 'Execute', 'Sync')
    postgres.send(closeComplete, parseComplete, parseComplete, bindComplete, complete('DEALLOCATE'), ready())
    expect(await client.answer()).toEqual(DEALLOCATED)
    client.send(parse('s1', 'select 1'), bind('', 'd1'), execute(), bind('', 's1'), sync)
    await postgres.expect(...MADE, 'Bind(, #3)', 'Execute', 'Bind(, s1)', 'Sync')
    postgres.send(closeComplete, parseComplete, bindComplete, complete('DEALLOCATE'), GONE, ready())
    const told = await client.answer()
    expect(told.slice(0, 3)).toEqual(['ParseComplete', 'BindComplete', 'CommandComplete(DEALLOCATE)'])
    expect(told[3]).toContain('26000')
  })

  test('is run as it is if that name stands for nothing', async () => {
    const { client, postgres } = await startDeallocating()
    client.send(closeStatement('s1'), bind('', 'd1'), execute(), sync)
    await postgres.expect('Bind(, #2)', 'Execute', 'Sync')
    postgres.send(bindComplete, GONE, ready())
    expect((await client.answer())[2]).toContain('26000')
  })

  test('drops nothing if it is skipped', async () => {
    const { client, postgres } = await startDeallocating()
    client.send(bind('', 'unknown'), bind('', 'd1'), execute(), sync)
    await postgres.expect('Bind(, unknown)', ...MADE, DEALLOCATES, 'Bind(, #3)', 'Execute', 'Sync')
    postgres.send(GONE, ready())
    expect(await client.answer()).toHaveLength(2)
    await bindAgain({ client, postgres })
  })

  test('waits if it is not known yet whether that name stands for anything', async () => {
    const { client, postgres } = await startDeallocating()
    client.send(bind('', 'unknown'), closeStatement('s1'), sync, bind('', 'd1'), execute(), sync)
    await postgres.expect('Bind(, unknown)', 'Sync')
    await postgres.expectNothing()
    postgres.send(GONE, ready())
    expect(await client.answer()).toHaveLength(2)
    await postgres.expect(...MADE, DEALLOCATES, 'Bind(, #3)', 'Execute', 'Sync')
    postgres.send(closeComplete, parseComplete, parseComplete, bindComplete, complete('DEALLOCATE'), ready())
    expect(await client.answer()).toEqual(DEALLOCATED)
  })
})

describe('while an earlier batch is unanswered and may have failed', () => {
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

  test('a statement that was evicted in it is closed again before it is prepared again', async () => {
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

  test('a name that was defined in it is used only once that is known to have succeeded', async () => {
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

  test('a name that was closed in it is kept if the batch fails', async () => {
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

  test('a name that was defined in it, and again after it, keeps the later statement if the batch fails', async () => {
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

  test('a Parse of a statement that the server has goes to the server, since the transaction may have failed', async () => {
    const pair = await startPrepared()
    const { client, postgres } = pair
    client.send(query('begin'), bind('', 's1'), execute(), sync, parse('s2', 'select 1'), sync)
    await postgres.expect('Query(begin)', 'Bind(, #1)', 'Execute', 'Sync')
    await postgres.expect('Close(statement, #1)', 'Parse(#1, select 1)', 'Sync')
    postgres.send(complete('BEGIN'), ready('T'), bindComplete, error('22012', 'division by zero'), ready('E'))
    postgres.send(closeComplete, error('25P02', 'current transaction is aborted'), ready('E'))
    await client.answer()
    await client.answer()
    expect(await client.answer()).toEqual([
      'ErrorResponse(ERROR 25P02 current transaction is aborted)',
      'ReadyForQuery(E)',
    ])
    await ask(pair, 'rollback', 'ROLLBACK')
  })

  test('an unnamed statement that was parsed in it is bound only once that is known to have succeeded, and never another client’s', async () => {
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

  test('another client’s unnamed statement that was closed in it is closed again', async () => {
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

describe('after a command that may change settings and is not answered yet', () => {
  const TEXT = "select timestamptz '2020-01-01'"
  const ROME = "set timezone = 'Europe/Rome'"
  const IN_ROME = parameterStatus('TimeZone', 'Europe/Rome')

  /** Expects that another client, in UTC, that asks for the same text does not get what was prepared in Rome. */
  async function expectUnshared({ flow, postgres }: Pick<Pair, 'flow' | 'postgres'>) {
    const other = await flow.connect()
    other.send(parse('s1', TEXT), sync)
    await postgres.expect('Query')
    postgres.send(parameterStatus('TimeZone', 'Etc/UTC'), rows('Etc/UTC'), ready())
    await postgres.expect(`Parse(#2, ${TEXT})`, 'Sync')
    postgres.send(parseComplete, ready())
    await other.expect('ParseComplete', 'ReadyForQuery(I)')
  }

  test('a statement is prepared once the command has been answered, and is shared under the new settings', async () => {
    const pair = await startPair()
    const { flow, client, postgres } = pair
    client.send(query(ROME), parse('s1', TEXT), sync)
    await postgres.expect(`Query(${ROME})`)
    await postgres.expectNothing()
    postgres.send(complete('SET'), IN_ROME, ready())
    await client.answer()
    await postgres.expect(`Parse(#1, ${TEXT})`, 'Sync')
    postgres.send(parseComplete, ready())
    await client.expect('ParseComplete', 'ReadyForQuery(I)')
    const roman = await flow.connect({ parameters: { TimeZone: 'Europe/Rome' } })
    roman.send(parse('mine', TEXT), sync)
    await postgres.expect('Sync')
    postgres.send(ready())
    await roman.expect('ParseComplete', 'ReadyForQuery(I)')
    await expectUnshared(pair)
  })

  test('in the same batch, a statement is not shared, since its settings are not known', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(parse('', ROME), bind('', ''), execute(), parse('s1', TEXT), sync)
    await postgres.expect(`Parse(, ${ROME})`, 'Bind(, )', 'Execute', `Parse(#1, ${TEXT})`, 'Sync')
    postgres.send(parseComplete, bindComplete, complete('SET'), parseComplete, IN_ROME, ready())
    expect(await client.answer()).toHaveLength(6)
    await expectUnshared(pair)
    client.send(bind('', 's1'), execute(), sync)
    await postgres.expect('Query')
    postgres.send(IN_ROME, rows('Europe/Rome'), ready())
    await postgres.expect('Bind(, #1)', 'Execute', 'Sync')
    postgres.send(RESULT)
    expect(await client.answer()).toContain('DataRow(1)')
  })

  /** Starts a client that has prepared `s1` and next gets a server without it. */
  async function startElsewhere() {
    const pair = await startPair()
    const { flow, client, postgres } = pair
    await prepare(pair, 's1', TEXT)
    const release = await occupy(pair)
    return { flow, client, postgres, release }
  }

  test('a statement that the server lacks is prepared once the command has been answered', async () => {
    const { flow, client, release } = await startElsewhere()
    client.send(query(ROME), bind('', 's1'), execute(), sync)
    const postgres = await flow.postgres.next()
    await postgres.expect(`Query(${ROME})`)
    await postgres.expectNothing()
    postgres.send(complete('SET'), IN_ROME, ready())
    await client.answer()
    await postgres.expect(`Parse(#2, ${TEXT})`, 'Bind(, #2)', 'Execute', 'Sync')
    postgres.send(parseComplete, RESULT)
    expect(await client.answer()).toContain('DataRow(1)')
    await release()
  })

  test('a statement that the server lacks is shared with clients that have the same settings now', async () => {
    const { flow, client, release } = await startElsewhere()
    client.send(query(ROME))
    const postgres = await flow.postgres.next()
    await postgres.expect(`Query(${ROME})`)
    postgres.send(complete('SET'), IN_ROME, ready())
    await client.answer()
    client.send(bind('', 's1'), execute(), sync)
    await postgres.expect(`Parse(#2, ${TEXT})`, 'Bind(, #2)', 'Execute', 'Sync')
    postgres.send(parseComplete, RESULT)
    await client.answer()
    const other = await flow.connect()
    other.send(parse('s1', TEXT), sync)
    await postgres.expect('Query')
    postgres.send(parameterStatus('TimeZone', 'Etc/UTC'), rows('Etc/UTC'), ready())
    await postgres.expect(`Parse(#1, ${TEXT})`, 'Sync')
    postgres.send(parseComplete, ready())
    await other.answer()
    await release()
  })

  test.each(['Describe', 'Bind'])(
    'in the same batch, a statement that a %s makes the pooler prepare is not shared',
    async (what) => {
      const { flow, client, release } = await startElsewhere()
      client.send(parse('', ROME), bind('', ''), execute())
      client.send(what === 'Bind' ? bind('', 's1') : describeStatement('s1'), sync)
      const postgres = await flow.postgres.next()
      await postgres.expect(`Parse(, ${ROME})`, 'Bind(, )', 'Execute', `Parse(#2, ${TEXT})`, what, 'Sync')
      postgres.send(parseComplete, bindComplete, complete('SET'), parseComplete)
      postgres.send(...(what === 'Bind' ? [bindComplete] : [parameterDescription(), noData]), IN_ROME, ready())
      await client.answer()
      await release()
    },
  )

  test('a statement that was not shared on one server is shared on the next server that lacks it', async () => {
    const pair = await startPair()
    const { flow, client, postgres } = pair
    client.send(parse('', 'show a'), bind('', ''), execute(), parse('s1', 'select 1'), sync)
    await postgres.expect('Parse(, show a)', 'Bind(, )', 'Execute', 'Parse(#1, select 1)', 'Sync')
    postgres.send(parseComplete, bindComplete, complete('SHOW'), parseComplete, ready())
    await client.answer()
    const release = await occupy(pair)
    client.send(bind('', 's1'), execute(), sync)
    const second = await flow.postgres.next()
    await second.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Execute', 'Sync')
    second.send(parseComplete, RESULT)
    await client.answer()
    const other = await flow.connect()
    other.send(parse('mine', 'select 1'), bind('', 'mine'), execute(), sync)
    await second.expect('Bind(, #2)', 'Execute', 'Sync')
    second.send(RESULT)
    expect(await other.answer()).toContain('DataRow(1)')
    await release()
  })

  const BEGUN = [complete('BEGIN'), ready('T')]
  const IN_BATCH: readonly [string[], Buffer[]] = [
    ['Parse(, begin)', 'Bind(, )', 'Execute'],
    [parseComplete, bindComplete, complete('BEGIN')],
  ]
  const SELECTED: readonly [string[], Buffer[]] = [
    ['Bind(, #1)', 'Execute', 'Sync', 'Close(statement, #2)'],
    [RESULT, closeComplete],
  ]
  test.each<[string, Buffer[], string[], Buffer[]]>([
    ['a simple BEGIN', [query('BEGIN;')], ['Query(BEGIN;)'], BEGUN],
    ['a SAVEPOINT', [query('savepoint "a b"')], ['Query(savepoint "a b")'], BEGUN],
    ['a BEGIN of its batch', [parse('', 'begin'), bind('', ''), execute()], ...IN_BATCH],
    ['a SELECT', [bind('', 's1'), execute(), sync], ...SELECTED],
  ])(
    'after %s, which changes no settings, a statement is prepared at once and shared',
    async (_, requests, sent, replies) => {
      const { client, postgres } = await startPrepared()
      client.send(...requests, parse('s2', TEXT), sync)
      await postgres.expect(...sent, `Parse(#2, ${TEXT})`, 'Sync')
      postgres.send(...replies)
      if (replies !== IN_BATCH[1]) await client.answer()
      postgres.send(parseComplete, ready('T'))
      await client.answer()
      client.send(parse('s3', TEXT), sync)
      await postgres.expect('Sync')
      postgres.send(ready())
      await client.expect('ParseComplete', 'ReadyForQuery(I)')
    },
  )

  test('after a text of more than 64 KB, which is not examined, a statement waits to be prepared', async () => {
    const { client, postgres } = await startPrepared()
    client.send(parse('', `select 1${' '.repeat(65_536)}`), bind('', ''), execute(), sync, parse('s2', TEXT), sync)
    await postgres.expect('Parse', 'Bind', 'Execute', 'Sync')
    await postgres.expectNothing()
    postgres.send(parseComplete, RESULT)
    await client.answer()
    await postgres.expect(`Parse(#2, ${TEXT})`, 'Sync')
    postgres.send(parseComplete, ready())
    await client.expect('ParseComplete', 'ReadyForQuery(I)')
  })

  test('a COPY that waits for data ends the wait of the Parse after it', async () => {
    const { client, postgres } = await startPair()
    client.send(query('copy a from stdin'), parse('s1', TEXT), sync)
    await postgres.expect('Query')
    await postgres.expectNothing()
    postgres.send(copyIn())
    await postgres.expect('Parse', 'Sync')
    postgres.send(error('08P01', 'unexpected message type 0x50 during COPY from stdin'), ready())
    expect(await client.answer()).toContain('ReadyForQuery(I)')
  })
})

describe('in a transaction that has changed a setting that is not reported', () => {
  /** Expects that what the client prepares before it commits is not given to another client. */
  async function expectOwn(pair: Pair): Promise<void> {
    const { flow, client, postgres } = pair
    client.send(parse('s1', 'select 1'), sync)
    await postgres.expect('Parse(#1, select 1)', 'Sync')
    postgres.send(parseComplete, ready('T'))
    await client.answer()
    await ask(pair, 'commit', 'COMMIT')
    const other = await flow.connect()
    other.send(parse('s1', 'select 1'), sync)
    await postgres.expect('Parse(#2, select 1)', 'Sync')
    postgres.send(parseComplete, ready())
    await other.answer()
  }

  test.each(['begin; set local search_path = tenant', "start transaction; set local array_nulls = 'off'"])(
    '(%s), a statement is not shared',
    async (text) => {
      const pair = await startPair()
      const { client, postgres } = pair
      client.send(query(text))
      await postgres.expect('Query')
      postgres.send(complete('BEGIN'), complete('SET'), ready('T'))
      await client.answer()
      await expectOwn(pair)
      // The client's own statement is the same as before, and what it prepares from now on is shared again.
      client.send(bind('', 's1'), parse('s2', 'select 1'), bind('', 's2'), sync)
      await postgres.expect('Bind(, #1)', 'Bind(, #2)', 'Sync')
      postgres.send(bindComplete, bindComplete, ready())
      await client.answer()
    },
  )

  test('(set_config, in a query of its own, by a client without prepared statements), a statement is not shared', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    client.send(query('begin'))
    await postgres.expect('Query(begin)')
    postgres.send(complete('BEGIN'), ready('T'))
    await client.answer()
    client.send(query("select set_config('search_path', 'tenant', true)"))
    await postgres.expect('Query')
    postgres.send(rows('tenant'), ready('T'))
    await client.answer()
    await expectOwn(pair)
  })

  test('(SET LOCAL in a query that arrives in pieces), a statement is not shared', async () => {
    const pair = await startPair()
    const { client, postgres } = pair
    const whole = query("begin; set local statement_timeout = '5s'; set local search_path = tenant")
    client.send(whole.subarray(0, 50))
    await quiet()
    client.send(whole.subarray(50))
    await postgres.expect('Query')
    postgres.send(complete('BEGIN'), complete('SET'), complete('SET'), ready('T'))
    await client.answer()
    await expectOwn(pair)
  })

  test('(SET LOCAL search_path), a statement is shared with clients that set the same search_path with the same text', async () => {
    const pair = await startPair()
    const { flow, postgres } = pair
    const commit = async (text: string, ...sent: string[]) => {
      const client = await flow.connect()
      client.send(query(text))
      await postgres.expect('Query')
      postgres.send(complete('BEGIN'), complete('SET'), ready('T'))
      await client.answer()
      client.send(parse('s1', 'select 1'), sync)
      await postgres.expect(...sent, 'Sync')
      postgres.send(...sent.map(() => parseComplete), ready('T'))
      await client.expect('ParseComplete', 'ReadyForQuery(T)')
      await ask({ client, postgres }, 'commit', 'COMMIT')
    }
    await commit('begin; set local search_path = a', 'Parse(#1, select 1)')
    await commit('begin; set local search_path = b', 'Parse(#2, select 1)')
    await commit('begin; set local search_path = a')
    await commit("begin; select set_config('search_path', current_user, true)", 'Parse(#3, select 1)')
    await commit("begin; select set_config('search_path', session_user, true)")
  })

  test('(SET LOCAL search_path), a statement that the server lacks is shared in the same way', async () => {
    const pair = await startPair()
    const { flow, client } = pair
    await prepare(pair, 's1', 'select 1')
    const release = await occupy(pair)
    client.send(query('begin; set local search_path = tenant'))
    const second = await flow.postgres.next()
    await second.expect('Query')
    second.send(complete('BEGIN'), complete('SET'), ready('T'))
    await client.answer()
    client.send(bind('', 's1'), sync)
    await second.expect('Parse(#2, select 1)', 'Bind(, #2)', 'Sync')
    second.send(parseComplete, bindComplete, ready('T'))
    await client.answer()
    await ask({ client, postgres: second }, 'commit', 'COMMIT')
    const other = await flow.connect()
    other.send(parse('s1', 'select 1'), sync)
    await second.expect('Parse(#1, select 1)', 'Sync')
    second.send(parseComplete, ready())
    await other.answer()
    await release()
  })
})
