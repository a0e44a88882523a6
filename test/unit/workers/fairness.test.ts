/** Whatever the number of workers, all clients of a saturated pool wait for about the same time. The times are simulated. */

import { expect, test } from 'vitest'
import { ToyFleet, type ToyPool } from './toy-fleet.ts'

const QUERY_MS = 0.3

interface Load {
  readonly poolSize: number
  /** The number of clients of each worker. */
  readonly clients: readonly number[]
}

/** Simulates clients that send their next request as soon as they are answered. Returns the length of each wait, except in the first two seconds. */
function waitsUnder({ poolSize, clients }: Load): number[] {
  const fleet = new ToyFleet((kind) => ({ max: kind === 'pool' ? poolSize : 0 }), clients.length)
  const waits: number[] = []
  let seed = 7
  const chance = () => {
    seed = (seed * 48_271) % 0x7fffffff
    return seed / 0x7fffffff
  }

  function run(pool: ToyPool): void {
    const sinceMs = fleet.events.nowMs
    pool.lease(() => {
      if (sinceMs > 2_000) waits.push(fleet.events.nowMs - sinceMs)
      pool.worker.later(QUERY_MS * (0.5 + chance()), () => {
        pool.release()
        // The answer takes time to reach the client too.
        pool.worker.later(0.1 * chance(), () => run(pool))
      })
    })
  }

  for (const [index, count] of clients.entries()) {
    const pool = fleet.alive[index]?.pool('app', 'ada') as ToyPool
    for (let left = count; left > 0; left--) run(pool)
  }
  const check = () => {
    if (fleet.servers() > poolSize) throw new Error('there are more servers than pool_size allows')
  }
  for (let round = 0; round < 60; round++) {
    fleet.events.run(100, check)
    fleet.sweep()
  }
  return waits.sort((one, other) => one - other)
}

const quantile = (sorted: readonly number[], q: number) => sorted[Math.floor(sorted.length * q)] as number

test.each<Load & { readonly name: string }>([
  { name: 'a pool of 20, four workers', poolSize: 20, clients: [50, 50, 50, 50] },
  { name: 'a pool of 20, unequal workers', poolSize: 20, clients: [80, 60, 40, 20] },
  { name: 'a pool of 3, four workers', poolSize: 3, clients: [16, 16, 16, 16] },
  { name: 'a pool of 1, four workers', poolSize: 1, clients: [16, 16, 16, 16] },
  { name: 'a pool of 1, two workers', poolSize: 1, clients: [16, 16] },
])('$name: the 99th percentile of waits is at most three times their median', ({ poolSize, clients }) => {
  const waits = waitsUnder({ poolSize, clients })
  expect(waits.length).toBeGreaterThan(1_000)
  expect(quantile(waits, 0.99)).toBeLessThanOrEqual(3 * quantile(waits, 0.5))
})
