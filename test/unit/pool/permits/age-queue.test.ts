import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Aged, AgeQueue } from '../../../../src/pool/permits/age-queue.ts'

class Item implements Aged {
  queuesSinceMs: number
  queuedSinceMs = Infinity
  place = -1

  constructor(sinceMs: number) {
    this.queuesSinceMs = sinceMs
  }
}

type Deed = 'join' | 'leave' | 'waitsLess' | 'waitsAnew' | 'leaveFirst'

const deed = fc.record({
  what: fc.constantFrom<Deed>('join', 'join', 'leave', 'waitsLess', 'waitsAnew', 'leaveFirst'),
  who: fc.nat({ max: 30 }),
  ms: fc.oneof(fc.nat({ max: 20 }), fc.constant(Infinity)),
})

/** The queue, and the items that should be in it. */
class Pair {
  readonly queue = new AgeQueue<Item>()
  readonly items: Item[] = []

  join(_who: number, ms: number): void {
    const item = new Item(ms)
    this.items.push(item)
    this.queue.add(item)
  }

  leave(who: number): void {
    const [item] = this.items.splice(who % Math.max(this.items.length, 1), 1)
    if (item !== undefined) this.queue.remove(item)
  }

  leaveFirst(): void {
    const { first } = this.queue
    if (first !== null) this.leave(this.items.indexOf(first))
  }

  /** The client that has waited longest is served, so the next one counts. Nobody tells the queue. */
  waitsLess(who: number, ms: number): void {
    const item = this.items[who % this.items.length]
    if (item !== undefined) item.queuesSinceMs += ms
  }

  /** A client may have been put back. The queue is told, whether or not the wait is longer by that. */
  waitsAnew(who: number, ms: number): void {
    const item = this.items[who % this.items.length]
    if (item === undefined) return
    item.queuesSinceMs = ms
    this.queue.noteOlder(item)
  }

  check(): void {
    expect(this.queue.first?.queuesSinceMs).toBe(least(this.items))
    expect([...this.queue].every((item) => this.items.includes(item))).toBe(true)
    expect([...this.queue]).toHaveLength(this.items.length)
  }
}

function least(items: readonly Item[]): number | undefined {
  return items.length === 0 ? undefined : Math.min(...items.map(({ queuesSinceMs }) => queuesSinceMs))
}

test('the item that has waited longest comes first, whoever joins or leaves, and however their waits change meanwhile', () => {
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 40, size: 'max' }), (deeds) => {
      const pair = new Pair()
      for (const { what, who, ms } of deeds) {
        pair[what](who, ms)
        pair.check()
      }
      while (pair.items.length > 0) {
        pair.leaveFirst()
        pair.check()
      }
    }),
    { seed: 1, numRuns: 100 },
  )
})

test('an item that has left may join again, also another queue', () => {
  const [queue, other] = [new AgeQueue<Item>(), new AgeQueue<Item>()]
  const [one, two] = [new Item(1), new Item(2)]
  for (const item of [one, two]) queue.add(item)
  queue.remove(one)
  expect(one.place).toBe(-1)
  other.add(one)
  expect([queue.first, other.first]).toEqual([two, one])
  other.remove(one)
  queue.add(one)
  expect([queue.first, other.first]).toEqual([one, null])
})
