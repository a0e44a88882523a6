/** A pool in a worker as the primary's desk of permits sees it: what its figures say, as far as they have come through. */

import type { Clock } from '../base/clock.ts'
import type { Holder } from '../pool/permits/holder.ts'
import type { Account } from '../pool/permits/limit.ts'
import { NOBODY_SPARED } from './fair-shares.ts'
import type { PoolFigures } from './messages.ts'

/** The desk's way to a worker. */
export interface Counter {
  granted(pool: number, usesReserve: boolean): void
  /** Clients of its own that have waited for longer than `sparedMs` are served first; null spares none. */
  recalled(pool: number, because: string, sparedMs: number | null, isTurn: boolean): void
  /** Its turn goes on after all. */
  kept(pool: number): void
  floored(pool: number, floor: number): void
  /** How many of the pool's servers are logged in. */
  ready(pool: number): number
  /** Asks for the figures of these pools. */
  polled(pools: readonly number[]): void
}

/** An idle server is one too many only when it was not needed for so long; in a busy pool each is idle for a moment now and then. */
const SPARE_AFTER_MS = 20

/** Demand is an average over about so long, so that permits follow the clients and not each burst of theirs. */
const SMOOTHING_MS = 500

/** How much longer those must have waited who have all that they can use, to go before those who have nothing. */
const WEIGHT_MS = 10_000

export class RemotePool implements Holder {
  readonly counter: Counter
  readonly pool: number
  /** See `ShareHolder`. */
  readonly keepsServers: boolean
  readonly #clock: Clock
  account!: Account
  wanted = 0
  /** Permits that it could use, on average. */
  demand = 0
  fillsMinimum = false
  idleSinceMs = Infinity
  /** When it last got a permit: whoever waited then is served before it is taken away again. */
  turnSinceMs = -Infinity
  /** When it was last told to give up what it uses; -Infinity once all of that has come back. */
  turnEndedMs = -Infinity
  /**
   * How many permits it will give up as its servers come free, whenever that is. The books do not know of it: they look for idle
   * servers elsewhere meanwhile, and take what comes as given up of its own accord.
   */
  #endingTurns = 0
  /** Until when it waits for what others are opening, although it was refused. */
  hopesUntilMs = -Infinity
  /** From then until this a refusal is the last word, unless others have a server. */
  hopesAgainMs = -Infinity
  #floor = 0
  #notedMs = -Infinity
  /** How long its first client had waited then. */
  #waitedMs: number | null = null

  constructor(counter: Counter, pool: number, clock: Clock, keepsServers: boolean) {
    this.counter = counter
    this.pool = pool
    this.keepsServers = keepsServers
    this.#clock = clock
  }

  /** Ages travel, not moments: the clocks of two processes begin at different times. */
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

  /** While servers work on a queue it stays about as old as it was; without any it grows old. */
  get waitingSinceMs(): number {
    if (this.#waitedMs === null) return Infinity
    return (this.kept > 0 ? this.#clock.nowMs : this.#notedMs) - this.#waitedMs
  }

  /** The less of its demand a pool is granted, the sooner it gets more: all of its clients wait for longer then. */
  get queuesSinceMs(): number {
    return this.waitingSinceMs + (WEIGHT_MS * this.kept) / Math.max(this.demand, 1)
  }

  get endingTurns(): number {
    return this.#endingTurns
  }

  /** The permits that it holds and was not told to give up. */
  get kept(): number {
    return this.account.held - this.account.recalled - this.#endingTurns
  }

  /** One of its servers is to go, though all are in use: the next that comes free once those are served whom it may serve first. */
  endTurn(because: string, sparedSinceMs: number, nowMs: number): void {
    this.#endingTurns++
    this.turnEndedMs = nowMs
    this.#recall(because, sparedSinceMs, true)
  }

  /** Nobody waits any more, and there are not too many. It may have given up what it was told to already: that does no harm. */
  keepTurn(): void {
    if (this.#endingTurns === 0) return
    this.#endingTurns = 0
    this.turnEndedMs = -Infinity
    this.counter.kept(this.pool)
  }

  /** A permit comes back. The books know of those that were recalled for certain. */
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
    // It has one idle server fewer now; whether there is another, the next figures tell.
    this.idleSinceMs = Infinity
    this.counter.recalled(
      this.pool,
      because,
      sparedSinceMs === NOBODY_SPARED ? null : this.#clock.nowMs - sparedSinceMs,
      isTurn,
    )
  }

  /** Below 0 is as much as 0. */
  tellFloor(needed: number): void {
    const floor = Math.max(0, needed)
    if (floor === this.#floor) return
    this.#floor = floor
    this.counter.floored(this.pool, floor)
  }
}
