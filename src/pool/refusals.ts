/** Refuses those who wait for a server of one pool when there is nothing to wait for: no server is left, and logins to others fail. */

import type { Clock } from '../base/clock.ts'
import type { Notice } from '../wire/notices.ts'
import type { Failures } from './failures.ts'
import type { Permits } from './permits/holder.ts'
import type { PoolState } from './states.ts'
import type { Waiting } from './waiting.ts'

/** The pool. */
export interface RefusingPool {
  readonly state: PoolState
  /** How many servers it has, those that are being opened included. */
  readonly total: number
  readonly isOfOneClient: boolean
  readonly waiting: Waiting
  /** Whoever waits may get a server yet. */
  help(): void
}

export class Refusals {
  readonly #pool: RefusingPool
  readonly #failures: Failures
  readonly #clock: Clock

  constructor(pool: RefusingPool, failures: Failures, clock: Clock) {
    this.#pool = pool
    this.#failures = failures
    this.#clock = clock
  }

  /** One server less; whether it was logged in or not, somebody may have counted on it. */
  serverLost(permits: Permits): void {
    const { state, isOfOneClient, waiting } = this.#pool
    if (state !== 'open') return
    const words = this.#wordsForWaiting
    if (words === null) this.#pool.help()
    // What others have is of no use to it, and whatever Postgres says of replication does not concern them.
    else if (isOfOneClient) waiting.refuseAll(words)
    else {
      this.#failures.question(true)
      permits.refused(words.sqlstate, (isSharedOut) => this.#onAnswer(isSharedOut))
    }
  }

  /** @param isSharedOut other processes have servers of the pool, and its clients have their turn on those */
  #onAnswer(isSharedOut: boolean): void {
    this.#failures.question(false)
    if (this.#pool.state !== 'open') return
    if (isSharedOut) this.#failures.forget()
    const words = this.#wordsForWaiting
    if (words !== null) this.#pool.waiting.refuseAll(words)
    else this.#pool.help()
  }

  /** Also where the next try comes at once: whoever waits shall hear why, rather than wait for the end of all tries. */
  get #wordsForWaiting(): Notice | null {
    return this.#pool.total === 0 ? this.#failures.forWaiting : null
  }

  /** Whoever comes now would wait for nothing, and is told this; null if it may wait. */
  get wordsForNewcomers(): Notice | null {
    return this.#pool.total === 0 ? this.#failures.forNewcomers(this.#clock.nowMs) : null
  }

  /** Unless that has changed since they came. */
  refuseNewcomers(): void {
    const words = this.wordsForNewcomers
    if (words !== null) this.#pool.waiting.refuseAll(words)
  }
}
