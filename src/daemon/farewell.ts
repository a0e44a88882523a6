/** Disconnects the clients of a process that is ending, each at a moment when it loses nothing: between two transactions. */

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
   * @param onSweep called at every sweep during which clients are being disconnected
   * @param onOverdue called when the time limit for all clients is over
   */
  constructor(sessions: Sessions, pools: Pools, onSweep: () => void, onOverdue: () => void) {
    this.#sessions = sessions
    this.#pools = pools
    this.#onSweep = onSweep
    this.#onOverdue = onOverdue
  }

  /** Disconnects clients that are between two transactions, from `atMs` on. If called again, the earlier time counts. */
  begin(atMs: number, notice: PoolerError): void {
    if (atMs >= this.#atMs) return
    this.#atMs = atMs
    this.#notice = notice
  }

  /** Calls `onOverdue` from `atMs` on. If called again, the earlier time counts. */
  endAt(atMs: number): void {
    this.#endMs = Math.min(this.#endMs, atMs)
  }

  /** Begins the farewell of a SHUTDOWN that waits for clients or servers, with the limits in the settings (in milliseconds). */
  shutdown(mode: ShutdownMode, nowMs: number, limits: { shutdown_grace: number; shutdown_timeout: number }): void {
    const { shutdown_grace: graceMs, shutdown_timeout: timeoutMs } = limits
    if (mode === 'wait_for_clients' && graceMs > 0) this.begin(nowMs + graceMs, new PoolerError('pooler-shutting-down'))
    if (timeoutMs > 0) this.endAt(nowMs + timeoutMs)
  }

  /** `begin` was called, but clients are not being disconnected yet. */
  isWaiting(nowMs: number): boolean {
    return nowMs < this.#atMs && this.#atMs !== Infinity
  }

  /** Called by the janitor. */
  sweep(nowMs: number): void {
    if (nowMs >= this.#endMs) this.#onOverdue()
    const notice = this.#notice
    if (nowMs < this.#atMs || notice === null) return
    this.#onSweep()
    // A client that sends queries without a pause is never idle at a sweep. The retired pool gives it no server for its next transaction.
    for (const pool of this.#pools) pool.retire(notice)
    for (const session of this.#sessions) if (isBetweenTransactions(session)) session.end(notice)
  }
}

function isBetweenTransactions({ state, relay }: Session): boolean {
  if (relay === null) return false
  return state === 'idle' || (state === 'active' && relay.server !== null && relay.server.isClean)
}
