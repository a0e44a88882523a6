/** Sends the clients of a process away that is to end, each as soon as nothing of its is lost by that. */

import type { Session } from '../client/session.ts'
import type { Sessions } from '../client/sessions.ts'
import type { Pools } from '../pool/pools.ts'
import { PoolerError } from '../problems.ts'

export class Farewell {
  readonly #sessions: Sessions
  readonly #pools: Pools
  readonly #onSweep: () => void
  #atMs = Infinity

  /** @param onSweep once nobody is kept any more */
  constructor(sessions: Sessions, pools: Pools, onSweep: () => void) {
    this.#sessions = sessions
    this.#pools = pools
    this.#onSweep = onSweep
  }

  /** From that moment on, nobody is kept who is between two transactions. */
  begin(atMs: number): void {
    this.#atMs = Math.min(this.#atMs, atMs)
  }

  /** Has begun, and nobody is sent away yet. */
  isWaiting(nowMs: number): boolean {
    return nowMs < this.#atMs && this.#atMs !== Infinity
  }

  /** Called by the janitor. */
  sweep(nowMs: number): void {
    if (nowMs < this.#atMs) return
    this.#onSweep()
    const notice = new PoolerError('worker-ends')
    // Whoever asks without a pause is never met idle: it gets no server for its next transaction.
    for (const pool of this.#pools) pool.retire(notice)
    for (const session of this.#sessions) if (isBetweenTransactions(session)) session.end(notice)
  }
}

function isBetweenTransactions({ state, relay }: Session): boolean {
  if (relay === null) return false
  return state === 'idle' || (state === 'active' && relay.server !== null && relay.server.isClean)
}
