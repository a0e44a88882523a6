/** What operators have said that goes for workers too which are started later: databases that are disabled or paused, and that all are suspended. */

import type { ControlCall } from './control.ts'

/** A word, and the word that takes it back. */
const PAIRS: readonly (readonly [string, string])[] = [
  ['disable', 'enable'],
  ['pause', 'resume'],
  ['kill', 'resume'],
  ['suspend', 'resume'],
  ['suspend', 'endSuspension'],
]

export class StandingOrders {
  #orders: ControlCall[] = []

  note(call: ControlCall): void {
    const name: string = call.name
    if (!PAIRS.flat().includes(name)) return
    const [database = null] = call.args
    const undone = new Set(PAIRS.filter(([, end]) => end === name).flat())
    // An end without a name ends all; one with a name leaves an order for all others as it is, and follows it.
    this.#orders = this.#orders.filter((order) => {
      const [ordered = null] = order.args
      return !undone.has(order.name) || (database !== null && ordered !== database)
    })
    const isEnd = undone.size > 0
    const goesOn = this.#orders.some((order) => undone.has(order.name) && (order.args[0] ?? null) === null)
    if (!isEnd || goesOn) this.#orders.push(call)
  }

  /** It could not be done. */
  forget(call: ControlCall): void {
    this.#orders = this.#orders.filter((order) => order !== call)
  }

  /** In the order in which they were given. */
  [Symbol.iterator](): Iterator<ControlCall> {
    return this.#orders[Symbol.iterator]()
  }
}
