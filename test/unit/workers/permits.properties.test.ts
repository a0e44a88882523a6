/**
 * Whatever workers do, and in whatever order their messages arrive: no limit is exceeded at any moment, no permit is lost, and no client waits
 * forever.
 */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ToyFleet } from './toy-fleet.ts'
import { World } from './toy-world.ts'

const DEEDS = [
  'come',
  'come',
  'come',
  'come',
  'finish',
  'finish',
  'finish',
  'withdraw',
  'close',
  'die',
  'start',
  'grow',
] as const

const deed = fc.record({
  what: fc.constantFrom(...DEEDS),
  who: fc.nat({ max: 63 }),
  passesMs: fc.constantFrom(0, 0.1, 0.3, 1, 7, 30, 600),
})

const deeds = fc.array(deed, { maxLength: 150, size: 'max' })

const limits = fc.record({
  pool: fc.integer({ min: 0, max: 4 }),
  reserve: fc.integer({ min: 0, max: 2 }),
  min: fc.integer({ min: 0, max: 2 }),
  database: fc.integer({ min: 0, max: 5 }),
  user: fc.integer({ min: 0, max: 5 }),
})

test('limits hold at every moment; in the end every client has been served and every permit is accounted for', () => {
  fc.assert(
    fc.property(limits, fc.integer({ min: 1, max: 4 }), deeds, (given, workers, all) => {
      const world = new World(given, workers)
      for (const { what, who, passesMs } of all) {
        world.fleet.events.run(passesMs, world.check)
        world[what](who)
        world.check()
      }
      world.drain()
    }),
    // Use another seed and more runs for a longer search.
    { seed: 1, numRuns: 100 },
  )
})

test('a client that keeps its server forever does not keep others from being served if the limits allow two servers', () => {
  const two = (max: number) => fc.integer({ min: 1, max }).map((size) => (size === 1 ? 0 : size))
  const limits = fc.record({ pool: two(4), database: two(5), user: two(5), min: fc.nat({ max: 2 }) })
  const without = (what: string) =>
    fc.array(
      deed.filter((each) => each.what !== what),
      { maxLength: 60, size: 'max' },
    )
  fc.assert(
    fc.property(limits, fc.integer({ min: 1, max: 4 }), without('die'), (given, workers, all) => {
      const world = new World({ ...given, reserve: 0 }, workers)
      for (const { what, who, passesMs } of all) {
        world.fleet.events.run(passesMs, world.check)
        world[what](who)
        world.check()
      }
      world.serveAll(true)
      world.drain()
    }),
    { seed: 1, numRuns: 300 },
  )
})

test.each([0, 1])('an idle server that is leased just as it was to be closed is not waited for: worker %i', (taker) => {
  for (let ms = 0; ms < 40; ms += 0.1) {
    const world = new World({ pool: 3, reserve: 0, min: 0, database: 0, user: 0 }, 3)
    for (const who of [2, 0, 1]) world.come(who)
    world.fleet.events.run(20)
    world.finish(1)
    world.finish(1)
    world.fleet.events.run(30)
    world.come(2)
    world.fleet.events.run(ms)
    world.come(taker)
    world.fleet.events.run(150, world.check)
    expect(world.waiting, `${ms} ms later`).toBe(0)
  }
})

describe('when a client keeps one of two servers', () => {
  /** A client of another worker holds the other server. */
  function startWithHostage(): World {
    const world = new World({ pool: 2, reserve: 0, min: 0, database: 0, user: 0 }, 3)
    world.come(0)
    world.fleet.events.run(20)
    world.come(1)
    world.fleet.events.run(20)
    return world
  }

  test('a third worker gets the other server, even if it was in use until now', () => {
    const world = startWithHostage()
    world.finish(1)
    world.come(2)
    world.fleet.events.run(100, world.check)
    expect(world.leases[1]?.worker).toBe(world.fleet.workers[2])
  })

  test('a third worker gets the other server, even if it is in constant use', () => {
    const world = startWithHostage()
    world.come(2)
    let served = 0
    for (let round = 0; round < 100; round++) {
      // A client is always waiting at the worker that has the second server.
      world.come(1)
      world.come(1)
      world.fleet.events.run(5, world.check)
      if (world.leases[1]?.worker === world.fleet.workers[2]) served++
      if (world.leases.length > 1) world.finish(1)
    }
    expect(served).toBeGreaterThan(0)
  })
})

test('a turn that was to end goes on if no client waits any longer, so that no server is closed needlessly', () => {
  const world = new World({ pool: 2, reserve: 0, min: 0, database: 0, user: 0 }, 3)
  for (const who of [0, 1]) {
    world.come(who)
    world.fleet.events.run(20)
  }
  const [one, other] = world.leases
  world.come(2)
  // Long enough for both to be asked to give way.
  world.fleet.events.run(500, world.check)
  world.finish(0)
  world.fleet.events.run(100, world.check)
  expect(world.waiting).toBe(0)
  world.finish(0)
  world.fleet.events.run(100, world.check)
  expect([one?.total, other?.total]).toEqual([0, 1])
})

describe('when Postgres has room for fewer servers than the pool may have', () => {
  /** Plays workers whose clients come again and again. */
  function serve(room: number, firstAloneMs: number) {
    const fleet = new ToyFleet((kind) => ({ max: kind === 'pool' ? 6 : 0 }), 3)
    fleet.room = room
    const pools = fleet.alive.map((worker) => worker.pool('app', 'ada'))
    const served = pools.map(() => 0)
    const run = (index: number) =>
      pools[index]?.lease(() => {
        served[index] = (served[index] ?? 0) + 1
        pools[index]?.worker.later(1, () => {
          pools[index]?.release()
          run(index)
        })
      })
    run(0)
    fleet.events.run(firstAloneMs)
    for (const index of [1, 2, 0, 1, 2]) run(index)
    fleet.events.run(5_000)
    return { served, refused: pools.map(({ refused }) => refused) }
  }

  test.each([20, 0])(
    'workers share the servers: no client is refused while another worker has a server or gets one (%i ms later)',
    (ms) => {
      const { served, refused } = serve(2, ms)
      expect(refused).toEqual([0, 0, 0])
      for (const each of served) expect(each).toBeGreaterThan(100)
    },
  )

  test('every worker’s waiting clients are refused if there is no server at all', () => {
    expect(serve(0, 0)).toEqual({ served: [0, 0, 0], refused: [2, 2, 2] })
  })
})

test('after limits were lowered, surplus servers are closed in whichever worker holds them', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 4 }), fc.integer({ min: 1, max: 3 }), (workers, max) => {
      const world = new World({ pool: 8, reserve: 0, min: 0, database: 0, user: 0 }, workers)
      for (let who = 0; who < 12; who++) world.come(who)
      world.fleet.events.run(50)
      world.reload({ pool: max })
      world.fleet.events.run(50)
      for (let left = world.leases.length; left > 0; left--) {
        world.finish(0)
        world.fleet.events.run(5)
      }
      world.drain()
      expect(world.fleet.servers()).toBeLessThanOrEqual(max)
    }),
  )
})

test('an idle server of one worker makes room for a client of another', () => {
  const world = new World({ pool: 1, reserve: 0, min: 0, database: 0, user: 0 }, 2)
  world.come(0)
  world.fleet.events.run(20)
  world.finish(0)
  world.come(1)
  world.fleet.events.run(100, world.check)
  expect(world.leases[0]?.worker).toBe(world.fleet.workers[1])
})

test('min_pool_size applies to all workers together: idle servers beyond it are closed', () => {
  const world = new World({ pool: 10, reserve: 0, min: 2, database: 0, user: 0 }, 3)
  for (let who = 0; who < 9; who++) world.come(who)
  world.fleet.events.run(50)
  expect(world.fleet.servers()).toBe(9)
  while (world.leases.length > 0) world.finish(0)
  for (let round = 0; round < 50; round++) {
    world.fleet.events.run(100, world.check)
    world.fleet.sweep(1_000)
  }
  expect(world.fleet.servers()).toBe(2)
})

test('the reserve is used once a client of any worker has waited long enough', () => {
  const world = new World({ pool: 1, reserve: 1, min: 0, database: 0, user: 0 }, 2)
  world.come(0)
  world.fleet.events.run(20)
  world.come(1)
  world.fleet.events.run(150, world.check)
  expect(world.leases).toHaveLength(1)
  world.fleet.events.run(150, world.check)
  expect(world.leases).toHaveLength(2)
})
