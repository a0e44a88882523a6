/** How new clients are distributed over worker processes. */

import { expect, test } from 'vitest'
import type { WorkerSnapshot } from '../../src/workers/fleet.ts'
import { startPgweir } from '../support/e2e/pgweir.ts'
import { workerOf } from '../support/e2e/places.ts'
import { Roster } from '../support/e2e/roster.ts'
import { LONG_PATIENCE_MS, until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()

test('clients that connect at the same time are spread evenly over the workers', async () => {
  const pgweir = await startPgweir({ workers: 4, database, settings: { default_pool_size: 4 } })
  const clients = await Promise.all(Array.from({ length: 60 }, () => pgweir.client()))
  const counts = new Map<number, number>()
  for (const client of clients) counts.set(workerOf(client), (counts.get(workerOf(client)) ?? 0) + 1)
  expect([...counts.keys()].sort()).toEqual([1, 2, 3, 4])
  // A worker may have two clients more than the one with the fewest, plus two that the primary had not heard of yet.
  expect(Math.max(...counts.values()) - Math.min(...counts.values())).toBeLessThanOrEqual(4)
})

test('while a worker hangs, the other workers accept new clients', { timeout: 90_000 }, async () => {
  const roster = new Roster()
  const pgweir = await startPgweir({ workers: 2, database, settings: { worker_timeout: 600 } })
  const [hung] = (await roster.of(pgweir).all()) as [WorkerSnapshot]
  process.kill(hung.pid, 'SIGSTOP')
  let served = 0
  const coming = Array.from({ length: 20 }, async () => {
    await pgweir.unconnected().connect()
    served++
  })
  try {
    // With the portable transport, the primary hands out connections in turn. Those that the hung worker got wait there.
    await until('new clients are served', () => served >= 10, LONG_PATIENCE_MS)
  } finally {
    process.kill(hung.pid, 'SIGKILL')
    await Promise.allSettled(coming)
  }
})

test('clients that connect while no worker serves wait for the next worker', { timeout: 90_000 }, async () => {
  const roster = new Roster()
  const pgweir = await startPgweir({ workers: 2, database })
  const all = await roster.of(pgweir).all()
  for (const { pid } of all) process.kill(pid, 'SIGKILL')
  await until('none serves', async () => (await roster.all()).every(({ state }) => state !== 'serving'))
  const clients = await Promise.all(Array.from({ length: 5 }, () => pgweir.client()))
  for (const client of clients) expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
})
