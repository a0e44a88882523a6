import type { Client } from 'pg'
import { serialize } from 'pg-protocol'
import { expect, test } from 'vitest'
import { keyOf } from '../support/e2e/keys.ts'
import { sharedPgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { extended } from '../support/e2e/raw-client.ts'
import { activity, untilNotRunning, untilRunning } from '../support/e2e/server-side.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()

const { query } = serialize

const CANCELLED = { code: '57014', message: 'canceling statement due to user request', severity: 'ERROR' }

test('a cancelled query ends, and the connection stays usable', async () => {
  const pgweir = await startPgweir({ database })
  const client = await pgweir.client()
  for (const values of [undefined, []]) {
    const answer = failureOf(client.query('select pg_sleep(60)', values))
    await untilRunning(database, 'pg_sleep(60)')
    await pgweir.cancel(keyOf(client))
    expect(await answer).toMatchObject(CANCELLED)
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  }
  expect((await pgweir.counts()).servers).toBe(1)
})

test('postgres.js can cancel a query', async () => {
  const pgweir = await sharedPgweir({ database })
  const sql = pgweir.sql()
  const query = sql`select pg_sleep(60)`
  const answer = failureOf(query)
  await untilRunning(database, 'pg_sleep(60)')
  query.cancel()
  expect(await answer).toMatchObject({ code: '57014' })
  expect(await sql`select 1 as one`).toEqual([{ one: 1 }])
})

test('a cancel within a transaction makes the transaction fail, which keeps its server', async () => {
  const pgweir = await startPgweir({ database, settings: { default_pool_size: 2 } })
  const client = await pgweir.client()
  await client.query('begin')
  const answer = failureOf(client.query('select pg_sleep(60)'))
  const pid = await untilRunning(database, 'pg_sleep(60)')
  await pgweir.cancel(keyOf(client))
  expect(await answer).toMatchObject(CANCELLED)
  expect(await failureOf(client.query('select 1'))).toMatchObject({ code: '25P02' })
  await client.query('rollback')
  expect((await client.query('select pg_backend_pid() as pid')).rows).toEqual([{ pid }])
})

test('of many running queries, a cancel ends the right one', async () => {
  const pgweir = await startPgweir({ database, settings: { default_pool_size: 5 } })
  const clients = await Promise.all(Array.from({ length: 5 }, () => pgweir.client()))
  const answers = clients.map((client, index) => failureOf(client.query(`select pg_sleep(60), ${index} as id`)))
  for (const index of clients.keys()) await untilRunning(database, `${index} as id`)
  const left = new Set(clients.keys())
  for (const index of [3, 0, 4, 1, 2]) {
    await pgweir.cancel(keyOf(clients[index] as Client))
    expect(await answers[index]).toMatchObject(CANCELLED)
    left.delete(index)
    // PostgreSQL answers the client a moment before pg_stat_activity shows that the query has ended.
    await untilNotRunning(database, `${index} as id`)
    const running = (await activity(database)).filter(({ state }) => state === 'active').map(({ query }) => query)
    expect(running.sort()).toEqual([...left].sort().map((id) => `select pg_sleep(60), ${id} as id`))
  }
})

test('a wrong cancel key cancels nothing', async () => {
  const pgweir = await sharedPgweir({ database })
  const client = await pgweir.client()
  const answer = failureOf(client.query('select pg_sleep(60)'))
  const serverPid = await untilRunning(database, 'pg_sleep(60)')
  const { pid, secret } = keyOf(client)
  for (const wrong of [
    { pid, secret: secret ^ 1 },
    { pid: pid ^ 1, secret },
    { pid: serverPid, secret },
    { pid: 0, secret: 0 },
  ])
    await pgweir.cancel(wrong)
  expect((await pgweir.counts()).cancels).toBe(0)
  expect((await activity(database)).map(({ state }) => state)).toEqual(['active'])
  await pgweir.cancel({ pid, secret })
  expect(await answer).toMatchObject(CANCELLED)
})

test('a cancel for an idle client does not hit the client that uses its former server', async () => {
  const pgweir = await sharedPgweir({ database })
  const [ada, bob] = [await pgweir.client(), await pgweir.client()]
  await ada.query('select 1')
  const answer = failureOf(bob.query('select pg_sleep(60)'))
  await untilRunning(database, 'pg_sleep(60)')
  await pgweir.cancel(keyOf(ada))
  expect((await pgweir.counts()).cancels).toBe(0)
  expect((await activity(database)).map(({ state }) => state)).toEqual(['active'])
  await pgweir.cancel(keyOf(bob))
  expect(await answer).toMatchObject(CANCELLED)
})

test('a cancelled client that waits for a server stops waiting, and stays connected', async () => {
  const pgweir = await sharedPgweir({ database })
  const [blocker, client] = [await pgweir.client(), await pgweir.client()]
  await blocker.query('begin')
  for (const values of [undefined, []]) {
    const answer = failureOf(client.query('select 1', values))
    await until('it waits', async () => (await pgweir.counts()).waiting === 1)
    await pgweir.cancel(keyOf(client))
    expect(await answer).toMatchObject(CANCELLED)
    expect((await pgweir.counts()).waiting).toBe(0)
  }
  const answer = client.query('select 2 as two')
  await until('it waits again', async () => (await pgweir.counts()).waiting === 1)
  await blocker.query('rollback')
  expect((await answer).rows).toEqual([{ two: 2 }])
})

test('a cancel for a pipeline that waits for a server affects the first request only', async () => {
  const pgweir = await sharedPgweir({ database })
  const [blocker, client] = [await pgweir.client(), await pgweir.raw()]
  await blocker.query('begin')
  client.send(extended('select 1'), extended('select 2'), query('select 3'))
  await until('it waits', async () => (await pgweir.counts()).waiting === 1)
  await pgweir.cancel(client.cancelKey)
  expect(await client.lines()).toEqual([
    'ErrorResponse 57014 canceling statement due to user request',
    'ReadyForQuery I',
  ])
  await until('it waits for the rest', async () => (await pgweir.counts()).waiting === 1)
  await blocker.query('rollback')
  expect(await client.lines(2)).toEqual([
    ...['ParseComplete', 'BindComplete', 'DataRow 2', 'CommandComplete SELECT 1', 'ReadyForQuery I'],
    ...['RowDescription ?column?:23', 'DataRow 3', 'CommandComplete SELECT 1', 'ReadyForQuery I'],
  ])
})

test('a storm of cancel requests hits only its target', async () => {
  const pgweir = await startPgweir({ database, settings: { default_pool_size: 2 } })
  const target = await pgweir.client()
  const others = [await pgweir.client(), await pgweir.client(), await pgweir.client()]
  let isOver = false
  const outcomes = { done: 0, cancelled: 0 }
  const harassed = (async () => {
    while (!isOver)
      await target.query('select pg_sleep(0.002)').then(
        () => outcomes.done++,
        (failure: { code: string }) => {
          expect(failure.code).toBe('57014')
          outcomes.cancelled++
        },
      )
  })()
  const calm = others.map(async (other, index) => {
    while (!isOver) expect((await other.query('select $1::int as n, pg_sleep(0.001)', [index])).rows[0].n).toBe(index)
  })
  for (let round = 0; round < 100; round++)
    await Promise.all([pgweir.cancel(keyOf(target)), pgweir.cancel(keyOf(target))])
  isOver = true
  await Promise.all([harassed, ...calm])
  expect(outcomes.cancelled).toBeGreaterThan(0)
  await untilNotRunning(database, 'pg_sleep')
})

test('a cancel request without a key is refused', async () => {
  const pgweir = await startPgweir({ database })
  const client = await pgweir.stranger()
  const request = Buffer.alloc(12)
  request.writeInt32BE(12, 0)
  request.writeInt32BE(80_877_102, 4)
  client.send(request)
  expect(await client.rest()).toEqual(['ErrorResponse FATAL 08P01 bad packet header: a cancel key cannot have 0 bytes'])
})
