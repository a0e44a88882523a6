/** A client that has changed tables gets its ReadyForQuery once all processes that serve the database know of the change. */

import { describe, expect, test } from 'vitest'
import { quiet } from '../support/flow/inbox.ts'
import { Others } from '../support/flow/member.ts'
import { bindComplete, complete, error, parameterStatus, parseComplete, ready, rows } from '../support/flow/replies.ts'
import { batch, bind, execute, parse, query, sync } from '../support/flow/requests.ts'
import { type FlowOptions, startPair } from '../support/flow/start.ts'

async function start(options: FlowOptions = {}) {
  const others = new Others()
  return { others, ...(await startPair({ ...options, others })) }
}

describe('a client that changes tables', () => {
  for (const [how, sent] of [
    ['a query', query('create table a ()')],
    ['a batch', batch('create table a ()')],
  ] as const)
    test(`by ${how} gets ReadyForQuery once all other workers know`, async () => {
      const { client, postgres, others, flow } = await start()
      client.send(sent)
      if (how === 'a query') await postgres.expect('Query')
      else {
        await postgres.expect('Parse', 'Bind', 'Execute', 'Sync')
        postgres.send(parseComplete, bindComplete)
      }
      postgres.send(complete('CREATE TABLE'), ready())
      await quiet()
      expect(others.unanswered).toBe(1)
      client.send(query('two'))
      await postgres.expectNothing()
      expect(flow.counts(), 'other clients may use the server meanwhile').toEqual({ idle: 1 })
      others.answer()
      const shown = await client.answer()
      expect(shown.slice(-2)).toEqual(['CommandComplete(CREATE TABLE)', 'ReadyForQuery(I)'])
      await postgres.expect('Query(two)')
      postgres.send(rows('2'), ready())
      expect(await client.answer()).toContain('DataRow(2)')
    })

  test('in a transaction waits for the other workers at COMMIT, and not before', async () => {
    const { client, postgres, others } = await start()
    for (const [text, tag] of [
      ['begin', 'BEGIN'],
      ['alter table a add b int', 'ALTER TABLE'],
    ] as const) {
      client.send(query(text))
      await postgres.expect('Query')
      postgres.send(complete(tag), ready('T'))
      expect((await client.answer()).at(-1)).toBe('ReadyForQuery(T)')
    }
    client.send(query('commit'))
    await postgres.expect('Query(commit)')
    expect(others.unanswered).toBe(0)
    postgres.send(complete('COMMIT'), ready())
    await client.expect('CommandComplete(COMMIT)')
    await client.expectNothing()
    others.answer()
    await client.expect('ReadyForQuery(I)')
  })

  test.each(['a query', 'a batch'])('that only it can see does not wait (%s)', async (how) => {
    const { client, postgres, others } = await start()
    const text = 'create temp table a ()'
    client.send(how === 'a query' ? query(text) : batch(text))
    if (how === 'a query') await postgres.expect('Query')
    else {
      await postgres.expect('Parse', 'Bind', 'Execute', 'Sync')
      postgres.send(parseComplete, bindComplete)
    }
    postgres.send(complete('CREATE TABLE'), ready())
    expect((await client.answer()).slice(-2)).toEqual(['CommandComplete(CREATE TABLE)', 'ReadyForQuery(I)'])
    expect(others.unanswered).toBe(0)
  })

  test.each([
    ['an unnamed', '', 'p'],
    ['a named', 'p', ''],
  ])(
    'by %s portal, next to one that creates a temporary table, waits for the other workers',
    async (_, changing, other) => {
      const { client, postgres, others } = await start()
      client.send(parse('', 'alter table a add b int'), bind(changing, ''))
      client.send(parse('', 'create temp table b ()'), bind(other, ''), execute(changing), sync)
      await postgres.expect('Parse', 'Bind', 'Parse', 'Bind', 'Execute', 'Sync')
      postgres.send(parseComplete, bindComplete, parseComplete, bindComplete, complete('ALTER TABLE'), ready())
      await quiet()
      expect(others.unanswered).toBe(1)
      others.answer()
      expect((await client.answer()).at(-1)).toBe('ReadyForQuery(I)')
    },
  )

  test('gets the last ReadyForQuery of its pipeline only once all other workers know', async () => {
    const { client, postgres, others } = await start()
    client.send(query('drop table a'), query('two'))
    await postgres.expect('Query(drop table a)', 'Query(two)')
    postgres.send(complete('DROP TABLE'), ready())
    expect((await client.answer()).at(-1)).toBe('ReadyForQuery(I)')
    postgres.send(rows('2'), ready())
    await client.expect('RowDescription(value)', 'DataRow(2)', 'CommandComplete(SELECT 1)')
    await client.expectNothing()
    others.answer()
    await client.expect('ReadyForQuery(I)')
  })

  test('twice in one pipeline waits for both changes to be known', async () => {
    const { client, postgres, others } = await start()
    client.send(query('drop table a'), query('drop table b'))
    await postgres.expect('Query(drop table a)', 'Query(drop table b)')
    postgres.send(complete('DROP TABLE'), ready(), complete('DROP TABLE'), ready())
    await client.answer()
    await client.expect('CommandComplete(DROP TABLE)')
    others.answer()
    await client.expectNothing()
    others.answer()
    await client.expect('ReadyForQuery(I)')
  })

  test('and resets its settings gets them back as well', async () => {
    const others = new Others()
    const { client, postgres } = await startPair({ others })
    client.send(query("set timezone to 'Europe/Rome'"))
    await postgres.expect('Query')
    postgres.send(complete('SET'), parameterStatus('TimeZone', 'Europe/Rome'), ready())
    await client.answer()
    client.send(query('create table a (); reset all'))
    await postgres.expect('Query')
    postgres.send(complete('CREATE TABLE'), complete('RESET'), parameterStatus('TimeZone', 'Etc/UTC'), ready())
    await client.expect('CommandComplete(CREATE TABLE)', 'CommandComplete(RESET)', 'ParameterStatus(TimeZone=Etc/UTC)')
    await client.expectNothing()
    others.answer()
    await client.expect('ReadyForQuery(I)')
  })

  test('and disconnects while it waits leaves the server usable', async () => {
    const { client, postgres, others, flow } = await start()
    client.send(query('create table a ()'))
    await postgres.expect('Query')
    postgres.send(complete('CREATE TABLE'), ready())
    await client.expect('CommandComplete(CREATE TABLE)')
    client.hangUp()
    await quiet()
    others.answer()
    const next = await flow.connect()
    next.send(query('two'))
    await postgres.expect('Query(two)')
    postgres.send(rows('2'), ready())
    expect(await next.answer()).toContain('DataRow(2)')
  })

  test('without success does not wait', async () => {
    const { client, postgres, others } = await start()
    client.send(query('drop table a'))
    await postgres.expect('Query')
    postgres.send(error('42P01', 'table "a" does not exist'), ready())
    expect((await client.answer()).at(-1)).toBe('ReadyForQuery(I)')
    expect(others.unanswered).toBe(0)
  })

  test('in session mode keeps its server while it waits', async () => {
    const { client, postgres, others, flow } = await start({ settings: { pool_mode: 'session' } })
    await postgres.expect('Query(DISCARD ALL)')
    postgres.send(complete('DISCARD ALL'), ready())
    client.send(query('drop table a'))
    await postgres.expect('Query')
    postgres.send(complete('DROP TABLE'), ready())
    await client.expect('CommandComplete(DROP TABLE)')
    expect(flow.counts()).toEqual({ leased: 1 })
    others.answer()
    await client.expect('ReadyForQuery(I)')
  })
})
