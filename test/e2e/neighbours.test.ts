import { expect, test } from 'vitest'
import { sharedPgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()
const ONE_SERVER = { default_pool_size: 1 }

test('the same text is prepared for each TimeZone, since Postgres evaluates literals at Parse', async () => {
  const pgweir = await sharedPgweir({ database, settings: ONE_SERVER })
  const statement = { name: 'epoch', text: "select extract(epoch from timestamptz '2024-01-01 00:00')::int as epoch" }
  const epochs: number[] = []
  for (const zone of ['UTC', 'Asia/Tokyo', 'UTC']) {
    const client = await pgweir.client({ options: `-c TimeZone=${zone}` })
    epochs.push((await client.query(statement)).rows[0].epoch)
  }
  expect(epochs).toEqual([1704067200, 1704034800, 1704067200])
})

test('clients that differ only in name and timeouts share their statements', async () => {
  const oneProcess = 'statements are prepared on servers, and each process has servers of its own'
  const pgweir = await startPgweir({ database, settings: ONE_SERVER, oneProcess })
  for (const application_name of ['one', 'two', 'three']) {
    const client = await pgweir.client({
      application_name,
      options: `-c statement_timeout=${application_name.length}s`,
    })
    await client.query({ name: 'shared', text: 'select 1' })
  }
  expect(await pgweir.totals()).toMatchObject({ clientParses: 3, serverParses: 1 })
})

test('a partial DateStyle is completed from the default, not from the last client’s setting', async () => {
  const pgweir = await sharedPgweir({ database, settings: ONE_SERVER })
  const german = await pgweir.client({ options: '-c DateStyle=German,DMY' })
  await german.query('select 1')
  const iso = await pgweir.client({ options: '-c DateStyle=ISO' })
  expect((await iso.query('show datestyle')).rows).toEqual([{ DateStyle: 'ISO, MDY' }])
  expect((await iso.query("select '01/02/2024'::date::text as day")).rows).toEqual([{ day: '2024-01-02' }])
})

test('a non-ASCII search_path arrives unchanged, whatever client_encoding the last client used', async () => {
  const pgweir = await sharedPgweir({ database, settings: ONE_SERVER })
  const latin = await pgweir.client()
  await latin.query("set client_encoding to 'LATIN1'")
  const client = await pgweir.client({ options: '-c search_path=schéma' })
  expect((await client.query('select current_setting($1) as path', ['search_path'])).rows).toEqual([{ path: 'schéma' }])
})

test('a client that only reads leaves no read-only server behind, with track_extra_parameters', async () => {
  const settings = { ...ONE_SERVER, track_extra_parameters: 'IntervalStyle, default_transaction_read_only' }
  const pgweir = await startPgweir({ database, settings })
  const reader = await pgweir.client()
  await reader.query('set session characteristics as transaction read only')
  const writer = await pgweir.client()
  const shown = async (client: typeof reader) =>
    (await client.query('show transaction_read_only')).rows[0].transaction_read_only
  expect([await shown(writer), await shown(reader), await shown(writer)]).toEqual(['off', 'on', 'off'])
  expect(pgweir.log.filter((line) => line.includes('does not report'))).toEqual([])
})

test('no client gets notifications that another one has asked for', async () => {
  const pgweir = await sharedPgweir({ database, settings: ONE_SERVER })
  const one = await pgweir.client()
  await one.query('listen news')
  const other = await pgweir.client()
  expect((await other.query('select pg_listening_channels()')).rows).toEqual([])
  expect(pgweir.log.filter((line) => line.includes('LISTEN has no effect in transaction mode'))).toHaveLength(1)
})

test('DEALLOCATE ALL in the middle of a pipeline does not affect other clients', async () => {
  const pgweir = await sharedPgweir({ database, settings: ONE_SERVER })
  const sql = pgweir.sql({ max: 1 })
  await Promise.all([sql`select 1 as a`, sql.unsafe('deallocate all').simple(), sql`select 2 as b`])
  const other = pgweir.sql({ max: 1 })
  expect(await other`select 1 as a`).toEqual([{ a: 1 }])
  expect(await other`select 2 as b`).toEqual([{ b: 2 }])
})
