/** What the primary makes of the figures of workers' pools, some of which arrived a while ago. */

import { expect, test } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import type { Sizes } from '../../../src/pool/permits/limit.ts'
import type { PoolFigures } from '../../../src/workers/messages.ts'
import { PermitDesk } from '../../../src/workers/permit-desk.ts'

const NOTHING: PoolFigures = { wanted: 0, waiting: 0, fillsMinimum: false, waitedMs: null, idleMs: null }
const waiting = (clients: number, held: number, waitedMs: number): PoolFigures => ({
  ...NOTHING,
  wanted: held + clients,
  waiting: clients,
  waitedMs,
})

const UNLIMITED: Sizes = { max: 0 }

/** A desk, and a way to open pools of different users, each in a worker of its own. */
function open(sizes: Partial<Record<'pool' | 'database' | 'user', Sizes>>) {
  const clock = new ManualClock()
  const due: (() => void)[] = []
  const sizesOf = (kind: 'pool' | 'database' | 'user') => sizes[kind] ?? UNLIMITED
  const desk = new PermitDesk({ clock, sizesOf, later: (_ms, work) => due.push(work) })
  const join = (user: string) => {
    const told: unknown[] = []
    const worker = {
      granted: () => told.push('granted'),
      recalled: (_pool: number, because: string, sparedMs: number | null, isTurn: boolean) =>
        told.push({ because, sparedMs, isTurn }),
      kept: () => told.push('kept'),
      floored: (_pool: number, floor: number) => told.push({ floor }),
      polled: () => {},
      ready: () => 0,
    }
    desk.opened(worker, 1, 'app', user)
    return {
      told,
      asks: (figures: PoolFigures) => desk.asked(worker, 1, figures),
      givesBack: (figures: PoolFigures) => desk.gaveBack(worker, 1, figures),
      /** Gets its first permit, and uses it for a client. */
      begins() {
        this.asks(waiting(1, 0, 0))
        expect(told.pop()).toBe('granted')
        return this
      },
    }
  }
  return { clock, join, look: () => due.shift()?.() }
}

test.each([
  [20, { sparedMs: 50, isTurn: false }],
  [19, { sparedMs: 0, isTurn: true }],
])(
  'a server that has been idle for %i ms: it is spare after 20 ms, since in a busy pool each is idle now and then',
  (idleMs, recall) => {
    const { join } = open({ pool: { max: 1 } })
    const holder = join('ada').begins()
    holder.asks({ ...NOTHING, wanted: 1, idleMs })
    join('ada').asks(waiting(1, 0, 50))
    expect(holder.told).toEqual([{ because: 'evicted', ...recall }])
  },
)

test('clients that were waiting when their pool got its last permit are served before it gives one up', () => {
  const { clock, join } = open({ pool: { max: 1 } })
  const holder = join('ada').begins()
  clock.advance(30)
  join('ada').asks(waiting(1, 0, 5))
  expect(holder.told).toEqual([{ because: 'evicted', sparedMs: 30, isTurn: true }])
})

test('while a pool has no server, the wait of its first client grows after it was reported', () => {
  const { clock, join } = open({ database: { max: 1 } })
  const holder = join('ada').begins()
  const [first, second] = [join('bob'), join('eve')]
  first.asks(waiting(1, 0, 50))
  clock.advance(100)
  second.asks(waiting(1, 0, 100))
  holder.givesBack(NOTHING)
  expect([first.told, second.told]).toEqual([['granted'], []])
})

test('while a pool has servers, its first client has always waited for as long as reported, since it is always another one', () => {
  const { clock, join, look } = open({ database: { max: 2 } })
  const [one, other] = [join('ada').begins(), join('bob').begins()]
  one.asks(waiting(1, 1, 50))
  clock.advance(100)
  other.asks(waiting(1, 1, 100))
  join('eve').asks(waiting(1, 0, 5_000))
  look()
  expect([one.told.length, other.told.length]).toEqual([1, 0])
})

test('the less of its demand a pool has, the sooner it gets more, even if clients of another pool have waited longer', () => {
  const { clock, join } = open({ database: { max: 3 } })
  const holder = join('ada').begins()
  const [crowded, other] = [join('bob').begins(), join('eve').begins()]
  clock.advance(5_000)
  other.asks(waiting(1, 1, 2_000))
  crowded.asks(waiting(10, 1, 50))
  holder.givesBack(NOTHING)
  expect([crowded.told.includes('granted'), other.told.includes('granted')]).toEqual([true, false])
})

test('a burst of clients is no demand yet', () => {
  const { clock, join } = open({ database: { max: 3 } })
  const holder = join('ada').begins()
  const [bursting, other] = [join('bob').begins(), join('eve').begins()]
  clock.advance(5_000)
  bursting.asks(waiting(0, 1, 0))
  other.asks(waiting(1, 1, 1_000))
  clock.advance(5)
  bursting.asks(waiting(100, 1, 50))
  other.asks(waiting(1, 1, 1_000))
  holder.givesBack(NOTHING)
  expect([bursting.told.includes('granted'), other.told.includes('granted')]).toEqual([false, true])
})

test('a worker is told how many servers to keep when that has changed, and at least 0', () => {
  const { join } = open({ pool: { max: 10, min: 2 } })
  const [one, other] = [join('ada'), join('ada')]
  for (let more = 2; more > 0; more--) one.asks({ ...NOTHING, fillsMinimum: true })
  expect(one.told).toEqual(['granted', { floor: 2 }, 'granted'])
  for (let more = 3; more > 0; more--) other.asks(waiting(1, 3 - more, 0))
  expect([one.told.slice(3), other.told]).toEqual([
    [{ floor: 1 }, { floor: 0 }],
    ['granted', 'granted', 'granted'],
  ])
  other.givesBack({ ...NOTHING, wanted: 2 })
  other.givesBack({ ...NOTHING, wanted: 1 })
  expect(one.told.slice(5), 'it needs its servers again').toEqual([{ floor: 1 }])
})
