/** Sends the clients of a process away that is to end, each as soon as nothing of its is lost by that. */

import type { Session } from '../client/session.ts'
import type { Sessions } from '../client/sessions.ts'
import type { Pools } from '../pool/pools.ts'
import { PoolerError } from '../problems.ts'
import type { ShutdownMode } from '../workers/control.ts'

export class Farewell {
  readonly #sessions: Sessions
  readonly #pools: Pools
  readonly #onSweep: () => void
  readonly #onOverdue: () => void
  #notice: PoolerError | null = null
  #atMs = Infinity
  #endMs = Infinity

  /**
   * @param onSweep once nobody is kept any more
   * @param onOverdue when whoever is still there has had the time that there is
   */
  constructor(sessions: Sessions, pools: Pools, onSweep: () => void, onOverdue: () => void) {
    this.#sessions = sessions
    this.#pools = pools
    this.#onSweep = onSweep
    this.#onOverdue = onOverdue
  }

  /** From that moment on nobody is kept who is between two transactions. What was said first holds, unless this is earlier. */
  begin(atMs: number, notice: PoolerError): void {
    if (atMs >= this.#atMs) return
    this.#atMs = atMs
    this.#notice = notice
  }

  /** From that moment on nobody is kept at all. */
  endAt(atMs: number): void {
    this.#endMs = Math.min(this.#endMs, atMs)
  }

  /** Begins what the settings say of an end that waits for clients or servers. */
  shutdown(mode: ShutdownMode, nowMs: number, limits: { shutdown_grace: number; shutdown_timeout: number }): void {
    const { shutdown_grace: graceMs, shutdown_timeout: timeoutMs } = limits
    if (mode === 'wait_for_clients' && graceMs > 0) this.begin(nowMs + graceMs, new PoolerError('pooler-shutting-down'))
    if (timeoutMs > 0) this.endAt(nowMs + timeoutMs)
  }

  /** Has begun, and nobody is sent away yet. */
  isWaiting(nowMs: number): boolean {
    return nowMs < this.#atMs && this.#atMs !== Infinity
  }

  /** Called by the janitor. */
  sweep(nowMs: number): void {
    if (nowMs >= this.#endMs) this.#onOverdue()
    const notice = this.#notice
    if (nowMs < this.#atMs || notice === null) return
    this.#onSweep()
    // Whoever asks without a pause is never met idle: it gets no server for its next transaction.
    for (const pool of this.#pools) pool.retire(notice)
    for (const session of this.#sessions) if (isBetweenTransactions(session)) session.end(notice)
  }
}

function isBetweenTransactions({ state, relay }: Session): boolean {
  if (relay === null) return false
  return state === 'idle' || (state === 'active' && relay.server !== null && relay.server.isClean)
}
