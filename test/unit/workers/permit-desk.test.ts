import { describe, expect, test } from 'vitest'
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

/** A desk with `permits` permits, and workers with one pool each. */
function open(workers: number, permits = 1) {
  const desk = new PermitDesk({
    clock: new ManualClock(),
    sizesOf: (kind) => ({ max: kind === 'pool' ? permits : 0 }),
    later: () => {},
  })
  const all = Array.from({ length: workers }, () => join(desk))
  return all as [(typeof all)[0], (typeof all)[0], (typeof all)[0]]
}

/** Opens one more pool. */
function join(desk: PermitDesk, { keepsServers = false, ready = 0 } = {}) {
  const told: string[] = []
  const floors: number[] = []
  const counter: Counter = {
    granted: () => told.push('granted'),
    recalled: () => told.push('recalled'),
    kept: () => told.push('kept'),
    floored: (_pool, floor) => floors.push(floor),
    polled: () => {},
    ready: () => ready,
  }
  desk.opened(counter, POOL, 'app', 'ada', keepsServers)
  return {
    told,
    floors,
    asks: (figures: PoolFigures) => desk.asked(counter, POOL, figures),
    givesBack: (figures: PoolFigures) => desk.gaveBack(counter, POOL, figures),
    closes: () => desk.closed(counter, POOL),
    isRefused: () => !desk.refused(counter, POOL),
  }
}

describe('a server that stays with a replication client', () => {
  function deskOf(permits: number) {
    const sizesOf = (kind: string) => ({ max: kind === 'pool' ? permits : 0 })
    return new PermitDesk({ clock: new ManualClock(), sizesOf, later: () => {} })
  }

  test('takes no part in turns: a worker that can give up a server is asked instead', () => {
    const desk = deskOf(2)
    const follower = join(desk, { keepsServers: true })
    follower.asks(waiting(1))
    follower.asks({ ...NOTHING, wanted: 1 })
    const busy = join(desk)
    busy.asks(waiting(3))
    busy.asks(waiting(2, 1))
    const other = join(desk)
    other.asks(waiting(1))
    expect([follower.told, busy.told]).toEqual([['granted'], ['granted', 'recalled']])
    busy.givesBack(waiting(2))
    expect(other.told[0]).toBe('granted')
  })

  test('is not shared with others when Postgres has no room for more', () => {
    const desk = deskOf(5)
    join(desk, { keepsServers: true, ready: 1 }).asks(waiting(1))
    const alone = join(desk)
    alone.asks(waiting(1))
    expect(alone.isRefused()).toBe(true)
    const sharing = join(desk, { ready: 1 })
    sharing.asks(waiting(1))
    expect(alone.isRefused()).toBe(false)
    // The limit is now what all pools have together, including the servers that stay with their clients.
    const late = join(desk)
    late.asks(waiting(1))
    alone.givesBack(NOTHING)
    expect(late.told).toEqual([])
    sharing.givesBack(NOTHING)
    expect(late.told).toEqual(['granted'])
  })
})

test('a server that is on its way back is not recalled again because of figures from before the recall, nor waited for again', () => {
  const [one, other, third] = open(3)
  one.asks(waiting(1))
  one.asks(IDLE)
  other.asks(waiting(2))
  expect(one.told).toEqual(['granted', 'recalled'])
  // Sent before it had received the recall.
  one.asks(IDLE)
  other.asks(waiting(2))
  expect(one.told).toEqual(['granted', 'recalled'])
  one.givesBack(NOTHING)
  expect(other.told).toEqual(['granted'])
  other.asks(IDLE)
  third.asks(waiting(1))
  expect(other.told).toEqual(['granted', 'recalled'])
  other.givesBack(NOTHING)
  expect(third.told).toEqual(['granted'])
})

test('a worker whose server is refused keeps trying while other workers have servers or recently had some; otherwise the refusal is final', () => {
  const clock = new ManualClock()
  const desk = new PermitDesk({ clock, sizesOf: (kind) => ({ max: kind === 'pool' ? 5 : 0 }), later: () => {} })
  let ready = 1
  const told = { granted: () => {}, recalled: () => {}, kept: () => {}, floored: () => {}, polled: () => {} }
  const one: Counter = { ...told, ready: () => 0 }
  const other: Counter = { ...told, ready: () => ready }
  desk.opened(one, POOL, 'app', 'ada')
  expect(desk.refused(one, POOL), 'no other worker has a server').toBe(false)
  desk.opened(other, POOL, 'app', 'ada')
  desk.asked(other, POOL, waiting(1))
  expect(desk.refused(one, POOL)).toBe(true)
  desk.gaveBack(other, POOL, NOTHING)
  ready = 0
  clock.advance(900)
  expect(desk.refused(one, POOL), 'Postgres may not have noticed yet').toBe(true)
  clock.advance(200)
  expect(desk.refused(one, POOL), 'Postgres has had time to notice').toBe(false)
})

test('a refused worker waits a second for servers that others are opening, and a refusal after that is final for some time', () => {
  const clock = new ManualClock()
  const desk = new PermitDesk({ clock, sizesOf: (kind) => ({ max: kind === 'pool' ? 5 : 0 }), later: () => {} })
  const [refused, opening] = [join(desk), join(desk)]
  for (const each of [refused, opening]) each.asks(waiting(1))
  expect(refused.isRefused()).toBe(false)
  clock.advance(999)
  expect(refused.isRefused()).toBe(false)
  clock.advance(1)
  expect(refused.isRefused(), 'the other logins have had time').toBe(true)
  clock.advance(8_999)
  expect(refused.isRefused()).toBe(true)
  clock.advance(1)
  expect(refused.isRefused()).toBe(false)
  // For two seconds there may be as many servers as others are opening.
  const [late, last] = [join(desk), join(desk)]
  for (const each of [late, last]) each.asks(waiting(1))
  refused.givesBack(NOTHING)
  expect(late.told).toEqual([])
  opening.givesBack(NOTHING)
  clock.advance(1_999)
  last.asks(waiting(1))
  expect([late.told[0], last.told[0]]).toEqual(['granted', undefined])
  clock.advance(1)
  last.asks(waiting(1))
  expect(last.told[0]).toBe('granted')
})

test('when one limit is raised and another lowered at once, no permit is granted beyond the lowered limit', () => {
  const sizes = { pool: 1, database: 0, user: 0 }
  const desk = new PermitDesk({ clock: new ManualClock(), sizesOf: (kind) => ({ max: sizes[kind] }), later: () => {} })
  const one = join(desk)
  one.asks(waiting(2))
  Object.assign(sizes, { pool: 2, database: 1 })
  desk.resize()
  expect(one.told).toEqual(['granted'])
  Object.assign(sizes, { database: 2 })
  desk.resize()
  expect(one.told).toEqual(['granted', 'granted'])
})

test('a worker is told its new floor when min_pool_size is lowered or set to 0', () => {
  let min = 3
  const sizesOf = (kind: string) => (kind === 'pool' ? { max: 10, min } : { max: 0 })
  const desk = new PermitDesk({ clock: new ManualClock(), sizesOf, later: () => {} })
  const [one, other] = [join(desk), join(desk)]
  for (const filling of [one, one, other]) filling.asks({ ...NOTHING, fillsMinimum: true })
  expect([one.floors.at(-1), other.floors.at(-1)]).toEqual([2, 1])
  min = 2
  desk.resize()
  expect([one.floors.at(-1), other.floors.at(-1)]).toEqual([1, 0])
  min = 0
  desk.resize()
  expect([one.floors.at(-1), other.floors.at(-1)]).toEqual([0, 0])
})

test('busy surplus servers are not counted on: a waiting worker gets a server that is idle meanwhile', () => {
  let permits = 4
  const due: (() => void)[] = []
  const desk = new PermitDesk({
    clock: new ManualClock(),
    sizesOf: (kind) => ({ max: kind === 'pool' ? permits : 0 }),
    later: (_ms, work) => due.push(work),
  })
  const [busy, idle, leaving] = [join(desk), join(desk), join(desk)]
  busy.asks(waiting(2))
  idle.asks(waiting(1))
  leaving.asks(waiting(1))
  permits = 3
  desk.resize()
  due.shift()?.()
  expect(busy.told).toEqual(['granted', 'granted', 'recalled'])
  leaving.givesBack(NOTHING)
  idle.asks(IDLE)
  busy.asks(waiting(1, 2))
  expect(idle.told).toEqual(['granted', 'recalled'])
})

describe('a pool of a worker that is closed', () => {
  test('gets no permit, even if its clients were waiting when it was last heard of', () => {
    const [one, other, third] = open(3)
    one.asks(waiting(1))
    other.asks(waiting(1))
    other.closes()
    one.givesBack(NOTHING)
    third.asks(waiting(1))
    expect([other.told, third.told]).toEqual([[], ['granted']])
  })

  test('frees a permit that was on its way to it', () => {
    const [one, other] = open(2)
    one.asks(waiting(1))
    other.asks(waiting(1))
    one.closes()
    expect(other.told).toEqual(['granted'])
  })

  test('leaves its limits to the workers that still have the pool, and no limits if none has', () => {
    const desk = new PermitDesk({ clock: new ManualClock(), sizesOf: () => ({ max: 1 }), later: () => {} })
    const [one, other] = [join(desk), join(desk)]
    one.asks(waiting(1))
    other.closes()
    const late = join(desk)
    late.asks(waiting(1))
    expect(late.told).toEqual([])
    late.closes()
    one.closes()
    expect([...desk.limits]).toEqual([])
  })
})
