/**
 * A queue in which the item that has waited longest comes first. The wait of a queued item may become shorter; that is noticed only when the
 * item comes first.
 */

/** What an item needs to be queued. It is in one queue at a time. */
export interface Aged {
  /** Since when it waits, as far as its place in the queue is concerned; Infinity if it no longer waits. May change at any time. */
  readonly queuesSinceMs: number
  /** `queuesSinceMs` when the queue last read it. The heap is ordered by this. */
  queuedSinceMs: number
  /** Its index in the heap; -1 while it is in none. */
  place: number
}

/** A binary heap: joining, leaving and asking for the first cost O(log n). */
export class AgeQueue<T extends Aged> {
  readonly #heap: T[] = []

  /** The item that has waited longest; null if the queue is empty. If no item waits any more, it is one of those that no longer wait. */
  get first(): T | null {
    for (;;) {
      const top = this.#heap[0]
      if (top === undefined) return null
      const { queuesSinceMs } = top
      if (queuesSinceMs <= top.queuedSinceMs) return top
      top.queuedSinceMs = queuesSinceMs
      this.#sink(top, 0)
    }
  }

  add(item: T): void {
    item.queuedSinceMs = item.queuesSinceMs
    this.#rise(item, this.#heap.length)
  }

  remove(item: T): void {
    const { place } = item
    item.place = -1
    const last = this.#heap.pop() as T
    if (last === item) return
    this.#rise(last, place)
    this.#sink(last, last.place)
  }

  /** Moves an item forward whose wait is longer than when the queue last read it, because a waiter has been put back. */
  noteOlder(item: T): void {
    if (item.queuesSinceMs >= item.queuedSinceMs) return
    item.queuedSinceMs = item.queuesSinceMs
    this.#rise(item, item.place)
  }

  /** In no particular order. */
  [Symbol.iterator](): Iterator<T> {
    return this.#heap[Symbol.iterator]()
  }

  #rise(item: T, from: number): void {
    let place = from
    while (place > 0) {
      const above = this.#heap[(place - 1) >> 1] as T
      if (above.queuedSinceMs <= item.queuedSinceMs) break
      this.#put(above, place)
      place = (place - 1) >> 1
    }
    this.#put(item, place)
  }

  #sink(item: T, from: number): void {
    let place = from
    for (;;) {
      const left = this.#heap[2 * place + 1]
      const right = this.#heap[2 * place + 2]
      if (left === undefined) break
      const below = right !== undefined && right.queuedSinceMs < left.queuedSinceMs ? right : left
      if (below.queuedSinceMs >= item.queuedSinceMs) break
      const next = below.place
      this.#put(below, place)
      place = next
    }
    this.#put(item, place)
  }

  #put(item: T, place: number): void {
    this.#heap[place] = item
    item.place = place
  }
}
