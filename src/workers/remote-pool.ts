/** A pool of a worker as seen by the primary's permit desk, according to the figures that have arrived so far. */

import type { Clock } from '../base/clock.ts'
import type { Holder } from '../pool/permits/holder.ts'
import type { Account } from '../pool/permits/limit.ts'
import { NOBODY_SPARED } from './fair-shares.ts'
import type { PoolFigures } from './messages.ts'

/** How the desk reaches a worker. */
export interface Counter {
  granted(pool: number, usesReserve: boolean): void
  /** The pool must give up a permit. Its own clients that have waited for longer than `sparedMs` are served first; null spares none. */
  recalled(pool: number, because: string, sparedMs: number | null, isTurn: boolean): void
  /** Its turn goes on after all. */
  kept(pool: number): void
  floored(pool: number, floor: number): void
  /** How many of the pool's servers are logged in. */
  ready(pool: number): number
  /** Asks for the figures of these pools. */
  polled(pools: readonly number[]): void
}

/** How long a server must have been idle to count as spare. In a busy pool each server is idle for a moment now and then. */
const SPARE_AFTER_MS = 20

/** Demand is averaged over about this time, so that permits follow the number of clients and not each burst. */
const SMOOTHING_MS = 500

/** How much longer a pool that has all the permits it can use must have waited to come before a pool that has none. */
const WEIGHT_MS = 10_000

export class RemotePool implements Holder {
  readonly counter: Counter
  readonly pool: number
  /** See `ShareHolder`. */
  readonly keepsServers: boolean
  readonly #clock: Clock
  account!: Account
  wanted = 0
  /** How many permits it could use, on average. */
  demand = 0
  fillsMinimum = false
  idleSinceMs = Infinity
  /** When it last got a permit. Clients that were waiting then are served before one is taken away again. */
  turnSinceMs = -Infinity
  /** When it was last told to give up a permit that is in use; -Infinity once all of those have come back. */
  turnEndedMs = -Infinity
  /**
   * How many permits it will give up as its servers come free, whenever that is. The books do not know about these. They look for idle servers
   * elsewhere meanwhile, and treat such a permit as given back voluntarily.
   */
  #endingTurns = 0
  /** Until when it waits for servers that other workers are opening, although it was refused. */
  hopesUntilMs = -Infinity
  /** From then until this time, a refusal is final unless other workers have a server. */
  hopesAgainMs = -Infinity
  #floor = 0
  #notedMs = -Infinity
  /** How long its first client had waited at `#notedMs`; null if none was waiting. */
  #waitedMs: number | null = null

  constructor(counter: Counter, pool: number, clock: Clock, keepsServers: boolean) {
    this.counter = counter
    this.pool = pool
    this.keepsServers = keepsServers
    this.#clock = clock
  }

  /** Takes over figures. They contain ages, not moments, because the clocks of two processes begin at different times. */
  note(figures: PoolFigures, nowMs: number): void {
    this.wanted = figures.wanted
    const inUse = this.account.held + figures.waiting
    const weight = 1 - Math.exp(-(nowMs - this.#notedMs) / SMOOTHING_MS)
    this.demand += (inUse - this.demand) * weight
    this.#notedMs = nowMs
    this.fillsMinimum = figures.fillsMinimum
    this.#waitedMs = figures.waitedMs
    const { idleMs } = figures
    this.idleSinceMs = idleMs === null || idleMs < SPARE_AFTER_MS ? Infinity : nowMs - idleMs
  }

  /** While servers work on its queue, the first client in it has always waited for about as long as reported. Without servers, its wait grows. */
  get waitingSinceMs(): number {
    if (this.#waitedMs === null) return Infinity
    return (this.kept > 0 ? this.#clock.nowMs : this.#notedMs) - this.#waitedMs
  }

  /** The less of its demand a pool has been granted, the sooner it gets more, because all of its clients wait for longer then. */
  get queuesSinceMs(): number {
    return this.waitingSinceMs + (WEIGHT_MS * this.kept) / Math.max(this.demand, 1)
  }

  get endingTurns(): number {
    return this.#endingTurns
  }

  /** How many permits it holds and was not told to give up. */
  get kept(): number {
    return this.account.held - this.account.recalled - this.#endingTurns
  }

  /**
   * Tells it to give up a permit although all of its servers may be in use: that of the next server that comes free, once the clients that it
   * may serve first have been served.
   */
  endTurn(because: string, sparedSinceMs: number, nowMs: number): void {
    this.#endingTurns++
    this.turnEndedMs = nowMs
    this.#recall(because, sparedSinceMs, true)
  }

  /**
   * Revokes the end of its turns: no client waits any more, and not too many permits are held. If it has given up permits already, this does no
   * harm.
   */
  keepTurn(): void {
    if (this.#endingTurns === 0) return
    this.#endingTurns = 0
    this.turnEndedMs = -Infinity
    this.counter.kept(this.pool)
  }

  /** A permit comes back. If the books have recalled one, it counts as that; otherwise as one of its ending turns. */
  noteReturn(): void {
    if (this.#endingTurns === 0 || this.account.recalled > 0) return
    this.#endingTurns--
    if (this.#endingTurns === 0) this.turnEndedMs = -Infinity
  }

  onGranted(usesReserve: boolean): void {
    this.turnSinceMs = this.#clock.nowMs
    this.counter.granted(this.pool, usesReserve)
  }

  onRecalled(because: string, sparedSinceMs: number): void {
    this.#recall(because, sparedSinceMs, false)
  }

  #recall(because: string, sparedSinceMs: number, isTurn: boolean): void {
    // It has one idle server fewer now. Its next figures show whether it has another.
    this.idleSinceMs = Infinity
    this.counter.recalled(
      this.pool,
      because,
      sparedSinceMs === NOBODY_SPARED ? null : this.#clock.nowMs - sparedSinceMs,
      isTurn,
    )
  }

  /** Sends the floor if it has changed. A number below 0 counts as 0. */
  tellFloor(needed: number): void {
    const floor = Math.max(0, needed)
    if (floor === this.#floor) return
    this.#floor = floor
    this.counter.floored(this.pool, floor)
  }
}
