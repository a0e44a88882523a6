/** What a scrape tells of all processes together. */

import { expect, test } from 'vitest'
import { sharedPgweir } from '../support/e2e/pgweir.ts'
import { Samples, scrape } from '../support/e2e/samples.ts'
import { until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()
const POOL = { database: database.database, user: database.user }
const options = {
  database,
  secrets: { [database.user]: database.password },
  settings: { http_listen: '127.0.0.1:0', default_pool_size: 3, pool_mode: 'transaction' },
}

test('clients, servers and whoever waits are those of all processes', async () => {
  const pgweir = await sharedPgweir(options)
  const clients = await Promise.all(Array.from({ length: 5 }, () => pgweir.client()))
  const begun = clients.map((client) => client.query('begin'))
  await until('three have begun, and two wait', async () => {
    const samples = await scrape(pgweir)
    return (
      samples.of('pgweir_pool_clients', { ...POOL, state: 'active' }) === 3 &&
      samples.of('pgweir_pool_clients', { ...POOL, state: 'waiting' }) === 2 &&
      samples.of('pgweir_pool_servers', { ...POOL, state: 'active' }) === 3 &&
      (samples.of('pgweir_pool_oldest_wait_seconds', POOL) ?? 0) > 0
    )
  })
  const samples = await scrape(pgweir)
  expect(samples.of('pgweir_database_pool_size', { database: POOL.database })).toBe(3)
  expect(samples.of('pgweir_database_clients', { database: POOL.database })).toBe(5)
  for (const [index, client] of clients.entries()) {
    await begun[index]
    await client.query('commit')
  }
})

test('what is counted and timed grows by what was done', async () => {
  const pgweir = await sharedPgweir(options)
  const before = await scrape(pgweir)
  const clients = await Promise.all(Array.from({ length: 4 }, () => pgweir.client()))
  for (const client of clients) for (let round = 0; round < 5; round++) await client.query(`select repeat('x', 1000)`)
  const after = await scrape(pgweir)
  const growth = (name: string) => (after.of(name, POOL) ?? 0) - (before.of(name, POOL) ?? 0)
  expect(growth('pgweir_queries_total')).toBe(20)
  expect(growth('pgweir_transactions_total')).toBe(20)
  expect(growth('pgweir_client_logins_total')).toBe(4)
  expect(growth('pgweir_query_duration_seconds_count')).toBe(20)
  expect(growth('pgweir_wait_duration_seconds_count')).toBe(growth('pgweir_leases_total'))
  expect(growth('pgweir_sent_bytes_total')).toBeGreaterThan(20_000)
})

test('who asks for OpenMetrics gets that, with the same numbers', async () => {
  const pgweir = await sharedPgweir(options)
  const client = await pgweir.client()
  await client.query('select 1')
  const open = await pgweir.page('/metrics', { accept: 'application/openmetrics-text; version=1.0.0' })
  const usual = await pgweir.page('/metrics')
  expect(open.contentType).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
  expect(usual.contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
  const [one, other] = [open, usual].map(({ text }) => new Samples(text).of('pgweir_queries_total', POOL))
  expect(one).toBe(other)
})

test('the process lives', async () => {
  const pgweir = await sharedPgweir(options)
  expect(await pgweir.page('/healthz')).toMatchObject({ status: 200, text: 'ok\n' })
})
