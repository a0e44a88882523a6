/** A client's unnamed statement remains its own across transactions and servers, and is never another client's. */

import { describe, expect, test } from 'vitest'
import { reload } from '../support/flow/commands.ts'
import { quiet } from '../support/flow/inbox.ts'
import type { FlowServer } from '../support/flow/postgres.ts'
import { ask, occupy, RESULT, startPrepared } from '../support/flow/prepared.ts'
import {
  bindComplete,
  closeComplete,
  complete,
  error,
  parameterDescription,
  parseComplete,
  ready,
  rowDescription,
  rows,
} from '../support/flow/replies.ts'
import { bind, closeStatement, describeStatement, execute, parse, query, sync } from '../support/flow/requests.ts'
import { type Pair, startPair } from '../support/flow/start.ts'

describe('the unnamed statement', () => {
  test('is passed through', async () => {
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

  describe('that the client has asked about, and that is bound after a change of tables on a server without it,', () => {
    async function startAsked() {
      const pair = await startPair()
      const { flow, client, postgres } = pair
      client.send(parse('', 'select * from t where a = $1'), describeStatement(''), sync)
      await postgres.expect('Parse(, select * from t where a = $1)', 'Describe(statement, )', 'Sync')
      postgres.send(parseComplete, parameterDescription(23), rowDescription('a'), ready())
      await client.answer()
      await ask({ client: await flow.connect(), postgres }, 'alter table', 'ALTER TABLE')
      client.send(bind('', '', Buffer.alloc(4)), execute(), sync)
      const { texts, bytes } = await postgres.expect('Parse(#1, select * from t where a = $1)')
      expect(bytes).toEqual(parse(texts[0] as string, 'select * from t where a = $1', [23]))
      await postgres.expect('Describe(statement, #1)', 'Flush')
      return pair
    }

    test('runs if its rows are still what the client was told, with the parameter types that the client was told', async () => {
      const { client, postgres } = await startAsked()
      postgres.send(parseComplete, parameterDescription(23), rowDescription('a'))
      await postgres.expect('Bind', 'Execute', 'Sync')
      postgres.send(RESULT)
      expect((await client.answer())[0]).toBe('BindComplete')
    })

    test('is refused if its rows are not', async () => {
      const { client, postgres } = await startAsked()
      postgres.send(parseComplete, parameterDescription(23), rowDescription('b'))
      await postgres.expect('Describe', 'Execute', 'Sync')
      postgres.send(error('26000', 'no such statement'), ready())
      expect((await client.answer())[0]).toContain('cached plan must not change result type')
    })
  })

  test('that is a DEALLOCATE of a shared statement can be run in a later transaction, on another server too', async () => {
    const pair = await startPrepared()
    const { flow, client, postgres } = pair
    client.send(parse('', 'deallocate s1'), sync)
    await postgres.expect('Close', 'Parse', 'Parse(, deallocate pgweir_doomed)', 'Sync')
    postgres.send(closeComplete, parseComplete, parseComplete, ready())
    await client.expect('ParseComplete', 'ReadyForQuery(I)')
    const goOn = await occupy(pair)
    client.send(bind('', ''), execute(), sync)
    const second = await flow.postgres.next()
    await second.expect('Close', 'Parse', 'Parse(, deallocate pgweir_doomed)', 'Bind(, )', 'Execute', 'Sync')
    second.send(closeComplete, parseComplete, parseComplete, bindComplete, complete('DEALLOCATE'), ready())
    expect(await client.answer()).toEqual(['BindComplete', 'CommandComplete(DEALLOCATE)', 'ReadyForQuery(I)'])
    await goOn()
  })

  test('is parsed again if another client has parsed its own in between', async () => {
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

  /** Sends these requests. Whatever comes before the Bind, the other client's text must be gone when the Bind arrives. */
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

  test.each([
    ['is never run', 'Parse(, secret)', parse('', 'secret'), parseComplete],
    ['does not remove another client’s', 'Close(statement, )', closeStatement(''), closeComplete],
  ])('of a client that connected before max_prepared_statements was set %s', async (_, shown, request, reply) => {
    const { flow, client: old, postgres } = await startPair({ settings: { max_prepared_statements: 0 } })
    await reload(flow, { settings: { max_prepared_statements: 200 } })
    const client = await flow.connect()
    client.send(parse('', 'mine'), sync)
    await postgres.expect('Parse(, mine)', 'Sync')
    postgres.send(parseComplete, ready())
    await client.answer()
    old.send(request, sync)
    await postgres.expect(shown, 'Sync')
    postgres.send(reply, ready())
    await old.answer()
    client.send(bind('', ''), sync)
    await postgres.expect('Parse(, mine)', 'Bind(, )', 'Sync')
    postgres.send(parseComplete, bindComplete, ready())
    await client.expect('BindComplete', 'ReadyForQuery(I)')
  })

  test('no longer exists after a simple query, as in Postgres', async () => {
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

  test('is parsed again if another client has closed it in between', async () => {
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

  test('is parsed again if the pooler’s own query has dropped it in between', async () => {
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

  test('is not lost if the pooler’s own Parse of it was skipped', async () => {
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

  describe('and skipped requests:', () => {
    async function startWithMine() {
      const pair = await startPair()
      await parsed(pair, 'mine')
      return pair
    }

    async function parsed({ client, postgres }: Pair, text: string) {
      client.send(parse('', text), sync)
      await postgres.expect(`Parse(, ${text})`, 'Sync')
      postgres.send(parseComplete, ready())
      await client.answer()
    }

    /** Expects the client's statement to be what it was before, after an error in a batch in which all else was skipped. */
    async function expectMine({ client, postgres }: Pair, ...skipped: readonly Buffer[]) {
      client.send(parse('bad', 'selct'), ...skipped, sync)
      await quiet()
      postgres.inbox.take()
      postgres.send(error('42601', 'syntax error'), ready())
      await client.answer()
      client.send(bind('', ''), execute(), sync)
      await postgres.expect('Parse(, mine)', 'Bind(, )', 'Execute', 'Sync')
      postgres.send(parseComplete, RESULT)
      expect(await client.answer()).toContain('DataRow(1)')
    }

    test.each([
      ['another Parse', [parse('', 'other')]],
      ['two other Parses', [parse('', 'other'), parse('', 'third')]],
      ['a Parse of DEALLOCATE', [parse('', 'deallocate bad')]],
      ['a simple query', [query('select 1')]],
      ['a Close', [closeStatement('')]],
      ['all of them', [parse('', 'other'), query('select 1'), closeStatement(''), parse('', 'third')]],
    ])('it is kept if Postgres has skipped %s', async (_, skipped) => {
      const pair = await startWithMine()
      await expectMine(pair, ...skipped)
      await expectMine(pair, ...skipped)
    })

    test('it no longer exists if the Parse that would have replaced it has failed itself', async () => {
      const { client, postgres } = await startWithMine()
      client.send(parse('s1', 'select 1'), parse('', 'selct'), parse('', 'third'), sync)
      await quiet()
      postgres.inbox.take()
      postgres.send(parseComplete, error('42601', 'syntax error'), ready())
      await client.answer()
      client.send(bind('', ''), sync)
      await postgres.expect('Close(statement, )', 'Bind(, )', 'Sync')
      postgres.send(closeComplete, error('26000', 'unnamed prepared statement does not exist'), ready())
      await client.answer()
    })

    test('it is kept if Postgres has skipped requests in two batches of a pipeline', async () => {
      const { client, postgres } = await startWithMine()
      client.send(execute(), parse('', 'other'), sync, execute(), closeStatement(''), sync)
      await quiet()
      postgres.inbox.take()
      const noPortal = error('34000', 'portal "" does not exist')
      postgres.send(noPortal, ready(), noPortal, ready())
      await client.answer()
      await client.answer()
      client.send(bind('', ''), execute(), sync)
      await postgres.expect('Parse(, mine)', 'Bind(, )', 'Execute', 'Sync')
      postgres.send(parseComplete, RESULT)
      expect(await client.answer()).toContain('DataRow(1)')
    })

    test('it no longer exists if a Parse has failed in an earlier batch of the same pipeline', async () => {
      const { client, postgres } = await startWithMine()
      client.send(parse('', 'selct'), sync, execute(), closeStatement(''), sync)
      await quiet()
      postgres.inbox.take()
      postgres.send(error('42601', 'syntax error'), ready(), error('34000', 'portal "" does not exist'), ready())
      await client.answer()
      await client.answer()
      client.send(bind('', ''), sync)
      await postgres.expect('Close(statement, )', 'Bind(, )', 'Sync')
      postgres.send(closeComplete, error('26000', 'unnamed prepared statement does not exist'), ready())
      await client.answer()
    })

    test('it no longer exists if a later query has dropped it', async () => {
      const { client, postgres } = await startWithMine()
      client.send(parse('bad', 'selct'), parse('', 'other'), sync, query('select 2'))
      await quiet()
      postgres.inbox.take()
      postgres.send(error('42601', 'syntax error'), ready(), rows('2'), ready())
      await client.answer()
      await client.answer()
      client.send(bind('', ''), sync)
      await postgres.expect('Close(statement, )', 'Bind(, )', 'Sync')
      postgres.send(closeComplete, error('26000', 'unnamed prepared statement does not exist'), ready())
      await client.answer()
    })

    test('a Parse that fails does not remove the statement of a later batch', async () => {
      const { client, postgres } = await startWithMine()
      client.send(parse('', 'selct'), sync, parse('', 'later'), sync)
      await postgres.expect('Parse(, selct)', 'Sync', 'Parse(, later)', 'Sync')
      postgres.send(error('42601', 'syntax error'), ready(), parseComplete, ready())
      await client.answer()
      await client.answer()
      client.send(bind('', ''), execute(), sync)
      await postgres.expect('Bind(, )', 'Execute', 'Sync')
      postgres.send(RESULT)
      expect(await client.answer()).toContain('DataRow(1)')
    })

    test('it is bound in a later batch only once it is known whether requests were skipped', async () => {
      const { client, postgres } = await startWithMine()
      client.send(parse('bad', 'selct'), query('select 1'), sync, bind('', ''), execute(), sync)
      await postgres.expect('Parse(#1, selct)', 'Query(select 1)', 'Sync')
      await postgres.expectNothing()
      postgres.send(error('42601', 'syntax error'), ready())
      await client.answer()
      await postgres.expect('Parse(, mine)', 'Bind(, )', 'Execute', 'Sync')
      postgres.send(parseComplete, RESULT)
      expect(await client.answer()).toContain('DataRow(1)')
    })
  })

  test('that is too large to be kept lasts as long as its transaction', async () => {
    const { client, postgres } = await startPair()
    client.send(parse('', `select ${'x'.repeat(1024 * 1024)}`), bind('', ''), execute(), sync)
    await postgres.expect('Parse', 'Bind(, )', 'Execute', 'Sync')
    postgres.send(parseComplete, RESULT)
    expect(await client.answer()).toContain('DataRow(1)')
  })
})
