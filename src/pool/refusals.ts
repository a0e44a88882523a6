/** Refuses clients that would wait in vain for a server of one pool: it has no server left, and logins to new ones fail. */

import type { Clock } from '../base/clock.ts'
import type { Notice } from '../wire/notices.ts'
import type { Failures } from './failures.ts'
import type { Permits } from './permits/holder.ts'
import type { PoolState } from './states.ts'
import type { Waiting } from './waiting.ts'

/** The pool. */
export interface RefusingPool {
  readonly state: PoolState
  /** How many servers it has, including those that are being opened. */
  readonly total: number
  readonly isOfOneClient: boolean
  readonly waiting: Waiting
  /** Serves waiters as far as possible. */
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

  /** The pool has one server less. Whether that was logged in or not, a waiter may have counted on it. */
  serverLost(permits: Permits): void {
    const { state, isOfOneClient, waiting } = this.#pool
    if (state !== 'open') return
    const words = this.#wordsForWaiting
    if (words === null) this.#pool.help()
    // A replication client cannot use servers of other processes, and what Postgres says about replication does not concern other clients.
    else if (isOfOneClient) waiting.refuseAll(words)
    else {
      this.#failures.question(true)
      permits.refused(words.sqlstate, (isSharedOut) => this.#onAnswer(isSharedOut))
    }
  }

  /** @param isSharedOut other processes have servers of the pool, and this pool's clients will get their turn */
  #onAnswer(isSharedOut: boolean): void {
    this.#failures.question(false)
    if (this.#pool.state !== 'open') return
    if (isSharedOut) this.#failures.forget()
    const words = this.#wordsForWaiting
    if (words !== null) this.#pool.waiting.refuseAll(words)
    else this.#pool.help()
  }

  /**
   * The error for clients that wait. It applies even if the next attempt follows at once: they should learn the reason, rather than wait for the
   * end of all attempts.
   */
  get #wordsForWaiting(): Notice | null {
    return this.#pool.total === 0 ? this.#failures.forWaiting : null
  }

  /** The error for clients that come now and would wait in vain; null if they may wait. */
  get wordsForNewcomers(): Notice | null {
    return this.#pool.total === 0 ? this.#failures.forNewcomers(this.#clock.nowMs) : null
  }

  /** Refuses all waiters, unless they may wait by now. */
  refuseNewcomers(): void {
    const words = this.wordsForNewcomers
    if (words !== null) this.#pool.waiting.refuseAll(words)
  }
}
