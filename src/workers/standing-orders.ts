/** Console commands that also apply to workers which are started later: databases are disabled or paused, or everything is suspended. */

import type { ControlCall } from './control.ts'

const ORDERS: ReadonlySet<string> = new Set(['disable', 'pause', 'kill', 'suspend'])

/** The orders that each command revokes if it has the same argument. */
const ENDS: Readonly<Record<string, readonly string[]>> = {
  enable: ['disable'],
  resume: ['pause', 'kill'],
  endSuspension: ['suspend'],
}

export class StandingOrders {
  #orders: ControlCall[] = []

  /**
   * A command is being carried out. One that revokes orders is listed too until its outcome is known: a worker that starts meanwhile tries it
   * for itself.
   */
  note(call: ControlCall): void {
    if (ORDERS.has(call.name) || call.name in ENDS) this.#orders.push(call)
  }

  /**
   * A command was carried out. One that revokes orders is removed, together with the orders before it that it revokes. If the same order was
   * given several times, only the last is kept.
   */
  done(call: ControlCall): void {
    const at = this.#orders.indexOf(call)
    if (at < 0) return
    const isOrder = ORDERS.has(call.name)
    const replaces = isOrder ? isSame : ends
    this.#orders = this.#orders.filter((order, index) =>
      index === at ? isOrder : index > at || !replaces(call, order),
    )
  }

  /** A command could not be carried out. */
  forget(call: ControlCall): void {
    this.#orders = this.#orders.filter((order) => order !== call)
  }

  /** Removes orders about databases that no longer exist. If one is added again later, it is a new one. */
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

/** An order for all databases and one for a single database are independent: each has its own end. */
function ends(end: ControlCall, order: ControlCall): boolean {
  const [database = null] = end.args
  const [ordered = null] = order.args
  // RESUME ends a suspension, whichever console began it.
  if (end.name === 'resume' && order.name === 'suspend') return database === null
  return (ENDS[end.name]?.includes(order.name) ?? false) && ordered === database
}
