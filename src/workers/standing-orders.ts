/** What operators have said that goes for workers too which are started later: databases that are disabled or paused, and that all are suspended. */

import type { ControlCall } from './control.ts'

const ORDERS: ReadonlySet<string> = new Set(['disable', 'pause', 'kill', 'suspend'])

/** What takes an order back, where it has the same argument. */
const ENDS: Readonly<Record<string, readonly string[]>> = {
  enable: ['disable'],
  resume: ['pause', 'kill'],
  endSuspension: ['suspend'],
}

export class StandingOrders {
  #orders: ControlCall[] = []

  /** It is being done. An end stands, too, until it is known whether it could be: whoever comes meanwhile finds out by itself. */
  note(call: ControlCall): void {
    if (ORDERS.has(call.name) || call.name in ENDS) this.#orders.push(call)
  }

  /** It was done: an end is forgotten, with the orders before it that it ends, and of the same order given again the last counts. */
  done(call: ControlCall): void {
    const at = this.#orders.indexOf(call)
    if (at < 0) return
    const isOrder = ORDERS.has(call.name)
    const replaces = isOrder ? isSame : ends
    this.#orders = this.#orders.filter((order, index) =>
      index === at ? isOrder : index > at || !replaces(call, order),
    )
  }

  /** It could not be done. */
  forget(call: ControlCall): void {
    this.#orders = this.#orders.filter((order) => order !== call)
  }

  /** Databases that are not there any more were forgotten with all that was said of them: should one come again, it is a new one. */
  keep(isThere: (database: string) => boolean): void {
    this.#orders = this.#orders.filter(({ args: [name] }) => typeof name !== 'string' || isThere(name))
  }

  /** In the order in which they were given. */
  [Symbol.iterator](): Iterator<ControlCall> {
    return this.#orders[Symbol.iterator]()
  }
}

function isSame(one: ControlCall, other: ControlCall): boolean {
  return one.name === other.name && (one.args[0] ?? null) === (other.args[0] ?? null)
}

/** An order for all and one for a single database are two, each with its own end. */
function ends(end: ControlCall, order: ControlCall): boolean {
  const [database = null] = end.args
  const [ordered = null] = order.args
  // Whose console it was does not matter.
  if (end.name === 'resume' && order.name === 'suspend') return database === null
  return (ENDS[end.name]?.includes(order.name) ?? false) && ordered === database
}
