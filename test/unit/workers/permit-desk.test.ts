import { describe, expect, test } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import type { LimitKind } from '../../../src/pool/permits/book.ts'
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

test('while Postgres has no room, there are no more servers than are ready, whatever others are opening', () => {
  const sizesOf = (kind: string) => ({ max: kind === 'pool' ? 5 : 0 })
  const desk = new PermitDesk({ clock: new ManualClock(), sizesOf, later: () => {} })
  const [opening, refused, late] = [join(desk, { ready: 1 }), join(desk), join(desk)]
  opening.asks(waiting(2))
  refused.asks(waiting(1))
  expect(refused.isRefused()).toBe(false)
  refused.givesBack(NOTHING)
  opening.givesBack(waiting(0, 1))
  late.asks(waiting(1))
  expect(late.told).toEqual([])
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

  test('is told nothing more', () => {
    let min = 0
    const sizesOf = (kind: string) => (kind === 'pool' ? { max: 10, min } : { max: 0 })
    const desk = new PermitDesk({ clock: new ManualClock(), sizesOf, later: () => {} })
    const one = join(desk)
    one.closes()
    min = 2
    desk.resize()
    expect(one.floors).toEqual([])
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

test('each pool of a worker has permits of its own, and what arrives after the end of a pool or a worker is ignored', () => {
  const desk = new PermitDesk({ clock: new ManualClock(), sizesOf: () => ({ max: 0 }), later: () => {} })
  const granted: number[] = []
  const told = { recalled: () => {}, kept: () => {}, floored: () => {}, polled: () => {}, ready: () => 0 }
  const worker: Counter = { ...told, granted: (pool) => granted.push(pool) }
  for (const pool of [1, 2]) desk.opened(worker, pool, 'app', 'ada')
  desk.asked(worker, 1, waiting(1))
  desk.asked(worker, 2, waiting(1))
  expect([granted, desk.held]).toEqual([[1, 2], 2])
  const say = (pool: number) => {
    desk.asked(worker, pool, waiting(1))
    desk.missed(worker, pool)
    expect(desk.refused(worker, pool)).toBe(false)
    desk.gaveBack(worker, pool, NOTHING)
    desk.closed(worker, pool)
  }
  desk.closed(worker, 1)
  say(1)
  expect(desk.held).toBe(1)
  desk.left(worker)
  say(2)
  expect([granted, desk.held]).toEqual([[1, 2], 0])
  expect([...desk.limits]).toEqual([])
})

describe('while clients wait for permits that other workers have', () => {
  /** A desk with timers that run as the clock is moved. */
  function start(sizes: Partial<Record<LimitKind, number>>) {
    const clock = new ManualClock()
    const due: { readonly atMs: number; work(): void }[] = []
    const sizesOf = (kind: LimitKind) => ({ max: sizes[kind] ?? 0 })
    const later = (ms: number, work: () => void) => void due.push({ atMs: clock.nowMs + ms, work })
    const desk = new PermitDesk({ clock, sizesOf, later })
    const pass = (ms: number) => {
      for (let left = ms; left > 0; left--) {
        clock.advance(1)
        for (const { work } of due.splice(0, due.findLastIndex(({ atMs }) => atMs <= clock.nowMs) + 1)) work()
      }
    }
    const join = (user = 'ada') => {
      const told: string[] = []
      let polls = 0
      const counter: Counter = {
        granted: () => told.push('granted'),
        recalled: (_pool, because, _sparedMs, isTurn) =>
          told.push(isTurn ? `give up: ${because}` : `close: ${because}`),
        kept: () => told.push('kept'),
        floored: () => {},
        polled: (pools) => {
          expect(pools).toEqual([POOL])
          polls++
        },
        ready: () => 0,
      }
      desk.opened(counter, POOL, 'app', user)
      return {
        told,
        get polls() {
          return polls
        },
        asks: (figures: PoolFigures) => desk.asked(counter, POOL, figures),
        givesBack: (figures: PoolFigures) => desk.gaveBack(counter, POOL, figures),
        misses: () => desk.missed(counter, POOL),
        /** Gets permits for clients that keep their servers busy from now on. */
        fills(permits: number) {
          this.asks(waiting(permits))
          expect(told.splice(0)).toHaveLength(permits)
          this.asks(waiting(0, permits))
          return this
        },
      }
    }
    return { sizes, desk, join, pass, due }
  }

  test('they take turns: each gets a permit, and gives it up when another worker has waited', () => {
    const { join, pass } = start({ pool: 1 })
    const workers = [join(), join(), join()] as const
    for (const worker of workers) worker.asks(waiting(1))
    const order: number[] = []
    for (let turn = 0; turn < 6; turn++) {
      pass(10)
      const holder = workers.findIndex(({ told }) => told.splice(0).includes('give up: evicted'))
      order.push(holder)
      workers[holder]?.givesBack(waiting(1))
    }
    expect(order).toEqual([0, 1, 2, 0, 1, 2])
  })

  test('a second worker is asked once the first has not given up a permit for 200 ms', () => {
    const { join, pass } = start({ pool: 2 })
    const holders = [join().fills(1), join().fills(1)]
    join().asks(waiting(1))
    const asked = () => holders.map(({ told }) => told.length)
    pass(190)
    expect(asked()).toEqual([1, 0])
    pass(10)
    expect(asked()).toEqual([1, 1])
  })

  test('a worker that gives up its permit for no one any more is told to go on', () => {
    const { join, pass } = start({ pool: 1 })
    const holder = join().fills(1)
    const asking = join()
    asking.asks(waiting(1))
    asking.asks(NOTHING)
    pass(10)
    expect(holder.told).toEqual(['give up: evicted', 'kept'])
    pass(50)
    expect(holder.told).toHaveLength(2)
  })

  test('permits move one by one to a worker with more clients, 50 ms apart, since each move costs a connection', () => {
    const { join, pass } = start({ pool: 10 })
    const [rich, poor] = [join().fills(9), join().fills(1)]
    pass(5_000)
    rich.asks(waiting(1, 9))
    const moves: number[] = []
    for (let ms = 0; ms <= 200; ms += 10) {
      poor.asks(waiting(50, 1 + moves.length))
      if (rich.told.length > 0) {
        moves.push(ms)
        expect(rich.told.splice(0)).toEqual(['give up: evicted'])
        rich.givesBack(waiting(1, 9 - moves.length))
      }
      pass(10)
    }
    expect(moves).toEqual([0, 50, 100, 150, 200])
  })

  test('surplus permits are taken from the worker that has most', () => {
    const { sizes, desk, join, pass } = start({ pool: 6 })
    const [few, many] = [join().fills(2), join().fills(4)]
    sizes.pool = 3
    desk.resize()
    pass(10)
    const surplus = 'give up: too many servers in the pool'
    expect([few.told, many.told]).toEqual([[surplus], [surplus, surplus]])
    pass(100)
    expect([few.told.length, many.told.length]).toEqual([1, 2])
  })

  test('between pools under one limit, the pool whose clients have waited least gives one up', () => {
    const { join, pass } = start({ database: 2 })
    const [patient, fresh] = [join('ada').fills(1), join('bob').fills(1)]
    fresh.asks(waiting(1, 1))
    patient.asks({ ...waiting(1, 1), waitedMs: 3_000 })
    for (const { told } of [patient, fresh]) told.length = 0
    const asking = join('eve')
    asking.asks({ ...waiting(1), waitedMs: 5_000 })
    pass(10)
    expect([patient.told, fresh.told]).toEqual([[], ['give up: evicted']])
    fresh.givesBack(waiting(1))
    expect(asking.told).toEqual(['granted'])
  })

  test('everyone concerned is asked for figures every 10 ms, and nobody when no client waits', () => {
    const { join, pass, due } = start({ pool: 1 })
    const [holder, asking, idle, stranger] = [join(), join(), join(), join('bob')]
    holder.asks(waiting(1))
    pass(50)
    expect(holder.polls).toBe(0)
    asking.asks(waiting(1))
    asking.asks(waiting(1))
    pass(50)
    expect([holder, asking, idle, stranger].map(({ polls }) => polls)).toEqual([5, 5, 0, 0])
    holder.givesBack(NOTHING)
    pass(50)
    expect([holder.polls, asking.polls]).toEqual([5, 5])
    expect(due).toEqual([])
  })

  test('an idle server that was leased before it could be closed is not counted on: another one is closed', () => {
    const { join } = start({ pool: 2 })
    const [longer, shorter] = [join(), join()]
    for (const worker of [longer, shorter]) worker.asks(waiting(1))
    longer.asks({ ...IDLE, idleMs: 200 })
    shorter.asks({ ...IDLE, idleMs: 100 })
    const asking = join()
    asking.asks(waiting(1))
    expect([longer.told.at(-1), shorter.told.at(-1)]).toEqual(['close: evicted', 'granted'])
    longer.misses()
    asking.asks(waiting(1))
    expect(shorter.told.at(-1)).toBe('close: evicted')
    shorter.givesBack(NOTHING)
    expect(asking.told).toEqual(['granted'])
  })

  test('a permit of a turn that comes back first is not taken for an idle one that was missed', () => {
    const { join } = start({ pool: 2 })
    const holder = join().fills(2)
    const [second, third] = [join(), join()]
    second.asks(waiting(1))
    // One of its servers was idle just before it received that.
    holder.asks({ ...NOTHING, wanted: 2, idleMs: 100 })
    second.asks(waiting(1))
    expect(holder.told).toEqual(['give up: evicted', 'close: evicted'])
    holder.givesBack(waiting(1, 1))
    expect(second.told).toEqual(['granted'])
    holder.misses()
    third.asks(waiting(1))
    expect([holder.told.slice(2), second.told.slice(1)]).toEqual([['give up: evicted'], []])
  })
})
