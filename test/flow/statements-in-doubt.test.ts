/** Rule 3, for statements in pipelines: what was sent behind a batch that may have failed means what Postgres takes it to mean. */

import { describe, expect, test } from 'vitest'
import { ask, occupy, RESULT, startPrepared } from '../support/flow/prepared.ts'
import {
  bindComplete,
  closeComplete,
  complete,
  error,
  noData,
  parameterDescription,
  parseComplete,
  ready,
  rows,
} from '../support/flow/replies.ts'
import { bind, closeStatement, describeStatement, execute, parse, query, sync } from '../support/flow/requests.ts'
import { startPair } from '../support/flow/start.ts'

describe('behind a command that drops all statements, and is not answered yet', () => {
  const GONE = error('26000', 'prepared statement "s1" does not exist')
  const COMMANDS: readonly [how: string, tag: string, send: readonly Buffer[], ...sent: string[]][] = [
    ['DEALLOCATE ALL', 'DEALLOCATE ALL', [query('deallocate all')], 'Query(deallocate all)'],
    ['DISCARD ALL', 'DISCARD ALL', [query(' discard all;')], 'Query( discard all;)'],
    ['several in one query', 'DEALLOCATE ALL', [query('deallocate all; select 1')], 'Query(deallocate all; select 1)'],
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
    test(`(${how}) no old name is used, and no new one is known`, async () => {
      const { client, postgres } = await startPrepared()
      client.send(...send, bind('', 's1'), execute(), sync, parse('s1', 'select 2'), bind('', 's1'), execute(), sync)
      await postgres.expect(...sent)
      await postgres.expectNothing()
      postgres.send(...replies(send, tag))
      await client.answer()
      await postgres.expect('Bind(, s1)', 'Execute', 'Sync')
      await postgres.expect('Close(statement, #2)', 'Parse(#2, select 2)', 'Bind(, #2)', 'Execute', 'Sync')
      postgres.send(GONE, ready(), closeComplete, parseComplete, RESULT)
      expect(await client.answer()).toEqual([
        'ErrorResponse(ERROR 26000 prepared statement "s1" does not exist)',
        'ReadyForQuery(I)',
      ])
      expect(await client.answer()).toContain('DataRow(1)')
      expect(postgres.isClosed).toBe(false)
    })

    test(`(${how}) the names are what they were, if it fails`, async () => {
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

  test('a statement of that kind that has a name does the same', async () => {
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

  test('in the same batch its answer is asked for', async () => {
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

  test('in the same batch the rest is skipped if it fails', async () => {
    const { client, postgres } = await startPrepared()
    client.send(parse('', 'deallocate all'), bind('', ''), execute(), bind('', 's1'), execute(), sync, query('two'))
    await postgres.expect('Parse(, deallocate all)', 'Bind(, )', 'Execute', 'Flush')
    postgres.send(error('25P02', 'current transaction is aborted'))
    await postgres.expect('Sync', 'Query(two)')
    postgres.send(ready(), rows('2'), ready())
    expect(await client.answer()).toHaveLength(2)
    expect(await client.answer()).toContain('DataRow(2)')
  })

  test('what names no statement does not wait', async () => {
    const { client, postgres } = await startPrepared()
    client.send(query('discard all'), query('two'), parse('', 'three'), bind('', ''), execute(), sync)
    await postgres.expect('Query(discard all)', 'Query(two)', 'Parse(, three)', 'Bind(, )', 'Execute', 'Sync')
    postgres.send(complete('DISCARD ALL'), ready(), rows('2'), ready(), parseComplete, RESULT)
    for (let left = 3; left > 0; left--) await client.answer()
    expect(postgres.isClosed).toBe(false)
  })

  test('a command that was not seen coming costs the server what was sent behind it', async () => {
    const { client, postgres } = await startPrepared()
    client.send(query('select 1; deallocate all'), parse('s2', 'select 2'), sync)
    await postgres.expect('Query(select 1; deallocate all)', 'Parse(#2, select 2)', 'Sync')
    postgres.send(complete('DEALLOCATE ALL'), ready(), parseComplete, ready())
    await client.answer()
    await client.answer()
    await postgres.expectClosed()
  })

  test('DEALLOCATE of one name waits for what was sent before it', async () => {
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
