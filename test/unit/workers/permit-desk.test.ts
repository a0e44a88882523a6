import { expect, test } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import type { PoolFigures } from '../../../src/workers/messages.ts'
import { PermitDesk } from '../../../src/workers/permit-desk.ts'
import type { Counter } from '../../../src/workers/remote-pool.ts'

const NOTHING: PoolFigures = { wanted: 0, waiting: 0, fillsMinimum: false, waitedMs: null, idleMs: null }
const IDLE: PoolFigures = { ...NOTHING, wanted: 1, idleMs: 100 }
const waiting = (clients: number, held = 0): PoolFigures => ({
  ...NOTHING,
  wanted: held + clients,
  waiting: clients,
  waitedMs: 50,
})

const POOL = 1

/** A desk with one permit, and workers with a pool each. */
function open(workers: number) {
  const desk = new PermitDesk({
    clock: new ManualClock(),
    sizesOf: (kind) => ({ max: kind === 'pool' ? 1 : 0 }),
    later: () => {},
  })
  const all = Array.from({ length: workers }, () => {
    const told: string[] = []
    const counter: Counter = {
      granted: () => told.push('granted'),
      recalled: () => told.push('recalled'),
      kept: () => told.push('kept'),
      floored: () => {},
      polled: () => {},
      ready: () => 0,
    }
    desk.opened(counter, POOL, 'app', 'ada')
    return {
      told,
      asks: (figures: PoolFigures) => desk.asked(counter, POOL, figures),
      givesBack: (figures: PoolFigures) => desk.gaveBack(counter, POOL, figures),
    }
  })
  return all as [(typeof all)[0], (typeof all)[0], (typeof all)[0]]
}

test('a server that is recalled twice, by figures from before the first time, comes back once and is not waited for again', () => {
  const [one, other, third] = open(3)
  one.asks(waiting(1))
  one.asks(IDLE)
  other.asks(waiting(2))
  expect(one.told).toEqual(['granted', 'recalled'])
  // Sent before it had heard of that.
  one.asks(IDLE)
  other.asks(waiting(2))
  one.givesBack(NOTHING)
  expect(other.told).toEqual(['granted'])
  other.asks(IDLE)
  third.asks(waiting(1))
  expect(other.told).toEqual(['granted', 'recalled'])
  other.givesBack(NOTHING)
  expect(third.told).toEqual(['granted'])
})

test('whoever is refused right after others had servers asks again, for a while; without others it is the last word', () => {
  const clock = new ManualClock()
  const desk = new PermitDesk({ clock, sizesOf: (kind) => ({ max: kind === 'pool' ? 5 : 0 }), later: () => {} })
  let ready = 1
  const told = { granted: () => {}, recalled: () => {}, kept: () => {}, floored: () => {}, polled: () => {} }
  const one: Counter = { ...told, ready: () => 0 }
  const other: Counter = { ...told, ready: () => ready }
  desk.opened(one, POOL, 'app', 'ada')
  expect(desk.refused(one, POOL), 'nobody else is there').toBe(false)
  desk.opened(other, POOL, 'app', 'ada')
  desk.asked(other, POOL, waiting(1))
  expect(desk.refused(one, POOL)).toBe(true)
  desk.gaveBack(other, POOL, NOTHING)
  ready = 0
  clock.advance(900)
  expect(desk.refused(one, POOL), 'Postgres may not have noticed').toBe(true)
  clock.advance(200)
  expect(desk.refused(one, POOL), 'it should have by now').toBe(false)
})
