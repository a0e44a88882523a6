/** Turns are told to end, and then end or go on, while limits are lowered and raised: no client waits for a server that will not come. */

import fc from 'fast-check'
import { test } from 'vitest'
import { type Limits, World } from './toy-world.ts'

/** A fixed seed makes all runs equal. To search for new failures after a change, try other seeds. */
const SEED = 3

interface Step {
  readonly passesMs: number
  readonly deed: { readonly what: Deed; readonly who: number; readonly limits: Partial<Limits> }
}

type Deed = 'come' | 'finish' | 'breakOff' | 'withdraw' | 'withdrawAll' | 'close' | 'die' | 'start' | 'reload' | 'rest'

interface Steps {
  /** The weight of each deed. */
  readonly deeds: Partial<Record<Deed, number>>
  readonly who: fc.Arbitrary<number>
  readonly limits: fc.Arbitrary<Partial<Limits>>
  readonly passesMs: readonly number[]
  readonly most: number
}

// Without an explicit size, arrays have at most ten elements.
function stepsOf({ deeds, who, limits, passesMs, most }: Steps): fc.Arbitrary<Step[]> {
  const weighted = (Object.entries(deeds) as [Deed, number][]).map(([what, weight]) => ({
    weight,
    arbitrary: fc.record({ what: fc.constant(what), who, limits: what === 'reload' ? limits : fc.constant({}) }),
  }))
  const step = fc.record({ passesMs: fc.constantFrom(...passesMs), deed: fc.oneof(...weighted) })
  return fc.array(step, { maxLength: most, size: 'max' })
}

function play(world: World, steps: readonly Step[]): void {
  for (const { passesMs, deed } of steps) {
    world.fleet.events.run(passesMs, world.check)
    if (deed.what === 'reload') world.reload(deed.limits)
    else world[deed.what](deed.who)
    world.check()
  }
}

/** Each worker has its own message delay, as if some were busy. */
const messagesMs = (least: number, most: number, ...each: readonly number[]) =>
  fc.array(fc.constantFrom(...each), { minLength: least, maxLength: most })

/** Mostly clients of one pool, because workers take turns within a pool. */
const mostlyOfOnePool = fc.oneof(
  { weight: 8, arbitrary: fc.nat({ max: 15 }) },
  { weight: 1, arbitrary: fc.nat({ max: 63 }) },
)

const anyLimit = fc.integer({ min: 1, max: 5 })
const seldom = (value: fc.Arbitrary<number>) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: value })

const anyLimits = fc.record({
  pool: anyLimit,
  reserve: seldom(fc.constant(1)),
  min: fc.nat({ max: 2 }),
  database: seldom(anyLimit),
  user: seldom(anyLimit),
})

test('whatever limits are reloaded, no limit is exceeded, every waiting client is served, and all permits come back', () => {
  const deeds = {
    ...{ come: 10, finish: 5, breakOff: 3, withdraw: 1, withdrawAll: 1, close: 1 },
    ...{ die: 1, start: 1, reload: 4, rest: 1 },
  }
  const passesMs = [0, 0.1, 0.3, 1, 7, 30, 60, 300]
  const steps = stepsOf({ deeds, who: mostlyOfOnePool, limits: anyLimits, passesMs, most: 80 })
  fc.assert(
    fc.property(anyLimits, messagesMs(2, 4, 0.2, 3, 25), steps, (limits, messages, all) => {
      const world = new World(limits, messages.length, messages)
      play(world, all)
      world.rest()
      world.drain(Infinity)
    }),
    { numRuns: 200, seed: SEED },
  )
})

/** One worker holds all permits, and others wait for its turns to end, until the pool is made smaller. */
test('a permit that is recalled while turns are to end comes back, even if the turns go on', () => {
  const who = fc.nat({ max: 15 })
  const deeds = { come: 6, breakOff: 3, withdraw: 1, reload: 1 }
  const limits = fc.constant({ pool: 1 })
  const round = fc.record({
    pool: fc.integer({ min: 3, max: 6 }),
    who,
    clients: fc.integer({ min: 3, max: 12 }),
    steps: stepsOf({ deeds, who, limits, passesMs: [0, 1, 5, 10, 20, 60, 200], most: 16 }),
  })
  const rounds = fc.array(round, { minLength: 1, maxLength: 6, size: 'max' })
  fc.assert(
    fc.property(messagesMs(2, 3, 5, 20, 50), rounds, (messages, all) => {
      const world = new World({ pool: 1, reserve: 0, min: 0, database: 0, user: 0 }, messages.length, messages)
      for (const { pool, who, clients, steps } of all) {
        world.reload({ pool })
        for (let left = clients; left > 0; left--) world.come(who)
        world.fleet.events.run(100, world.check)
        play(world, steps)
        world.leave()
      }
      for (const worker of world.fleet.alive.keys()) world.come(worker)
      world.rest()
      world.drain(Infinity)
    }),
    { numRuns: 300, seed: SEED },
  )
})
