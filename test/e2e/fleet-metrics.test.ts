/** Metrics cover all processes, and stay right when workers crash or are replaced. */

import { expect, test } from 'vitest'
import { startPgweir } from '../support/e2e/pgweir.ts'
import { onePerWorker } from '../support/e2e/places.ts'
import { expectNoneLess, scrape } from '../support/e2e/samples.ts'
import { LONG_PATIENCE_MS, until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()
const POOL = { database: database.database, user: database.user }

test('no counter decreases or counts twice when a worker crashes or all workers are replaced', async () => {
  const pgweir = await startPgweir({
    ...{ workers: 3, database, secrets: { [database.user]: database.password, root: 'r' } },
    settings: { http_listen: '127.0.0.1:0', admin_users: 'root', default_pool_size: 3, worker_restart_grace: 0 },
  })
  const queries = async () => (await scrape(pgweir)).of('pgweir_queries_total', POOL)
  const clients = await onePerWorker(pgweir, [1, 2, 3])
  for (const client of clients) await client.query('select 1')
  const before = await scrape(pgweir)
  expect(before.of('pgweir_queries_total', POOL)).toBe(3)

  const [victim] = await pgweir.fleet.workers()
  if (victim) process.kill(victim.pid, 'SIGKILL')
  const isReplaced = async () => {
    const samples = await scrape(pgweir)
    expectNoneLess(samples, before)
    const workers = await pgweir.fleet.workers()
    const areServing = workers.every(({ pid, state }) => pid !== victim?.pid && state === 'serving')
    return samples.of('pgweir_workers_lost_total') === 1 && workers.length === 3 && areServing
  }
  await until('another one serves', isReplaced, LONG_PATIENCE_MS)
  expect(await queries()).toBe(3)

  for (let count = 0; count < 3; count++) await (await pgweir.client()).query('select 1')
  const pids = new Set((await pgweir.fleet.workers()).map(({ pid }) => pid))
  const console = await pgweir.client({ database: 'pgweir', user: 'root', password: 'r' })
  await console.query('restart workers').catch(() => {})
  const areOthers = async () => {
    const workers = await pgweir.fleet.workers()
    return workers.length === 3 && workers.every(({ pid, state }) => !pids.has(pid) && state === 'serving')
  }
  await until('all are others', areOthers, LONG_PATIENCE_MS)
  // The counts of a worker that has ended regularly are not lost, even if there was no scrape between its last count and its end.
  const after = await scrape(pgweir)
  expectNoneLess(after, before)
  expect(after.of('pgweir_queries_total', POOL)).toBe(6)
  expect(after.of('pgweir_workers_lost_total')).toBe(1)
})
