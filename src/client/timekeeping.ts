/** Hot path: when a client's requests and transactions began and were answered; for statistics and deadlines. */

import type { Clock } from '../base/clock.ts'
import type { Pool } from '../pool/pool.ts'
import type { ProblemKind } from '../problems.ts'
import type { Server } from '../server/server.ts'
import { STATUS_IDLE } from '../wire/backend.ts'
import { overdue } from './deadlines.ts'

export class Timekeeping {
  /** When the current request began: the next one in a pipeline begins with the answer to the one before. */
  requestMs = 0
  /** When the client last began to ask for something; 0 before the first request. */
  askedMs = 0
  /** When the client was last answered. These fields begin as numbers: V8 would make an object of each time that is put where `undefined` was. */
  answeredMs = 0
  #transactionMs = 0
  /** How long the current request has waited for the server. */
  #waitedMs = 0
  readonly #clock: Clock
  readonly #pool: Pool
  /** False for replication: its requests take days, and say nothing about how long others take. */
  readonly #isTimed: boolean

  constructor(clock: Clock, pool: Pool) {
    this.#clock = clock
    this.#pool = pool
    this.#isTimed = !pool.isOfOneClient
    this.answeredMs = clock.nowMs
  }

  /** The client has sent a request, and may have to wait for a server. */
  requestCame(): void {
    this.requestMs = this.#clock.nowMs
    this.askedMs = this.requestMs
  }

  leaseBegins(): void {
    this.#waitedMs = this.#clock.nowMs - this.requestMs
    this.requestMs = this.#clock.nowMs
    this.#transactionMs = this.requestMs
  }

  /** A request is being sent to a server that owes nothing. */
  requestBegins(server: Server): void {
    this.requestMs = this.#clock.nowMs
    this.askedMs = this.requestMs
    if (server.status === STATUS_IDLE && !server.ledger.isBatchOpen) this.#transactionMs = this.requestMs
  }

  /** The client has received an answer that is not a server's ReadyForQuery. */
  answeredOtherwise(): void {
    this.answeredMs = this.#clock.nowMs
  }

  /** The server has answered a request; `status` is that of the transaction. Returns how many milliseconds the answer took. */
  answered(status: number): number {
    const { nowMs } = this.#clock
    const { counters, durations } = this.#pool
    const tookMs = nowMs - this.requestMs
    counters.queries++
    if (this.#isTimed) {
      counters.queryUs += tookMs * 1000
      durations.query.note(tookMs)
      durations.response.note(tookMs + this.#waitedMs)
    }
    this.#waitedMs = 0
    this.answeredMs = nowMs
    this.requestMs = nowMs
    if (status !== STATUS_IDLE) return tookMs
    counters.transactions++
    if (this.#isTimed) {
      const transactionTookMs = nowMs - this.#transactionMs
      counters.transactionUs += transactionTookMs * 1000
      durations.transaction.note(transactionTookMs)
    }
    this.#transactionMs = nowMs
    return tookMs
  }

  /** When the current transaction began, if one is open. */
  get transactionMs(): number {
    return this.#transactionMs
  }

  /** Returns what has taken too long; null if nothing has. */
  problem(nowMs: number, server: Server): ProblemKind | null {
    const activity = {
      isRunning: !server.ledger.isEmpty,
      isInTransaction: server.status !== STATUS_IDLE || server.ledger.isBatchOpen,
      requestMs: this.requestMs,
      transactionMs: this.#transactionMs,
      // What was sent since may be a request that gets no answer.
      answeredMs: Math.max(this.answeredMs, this.requestMs),
    }
    return overdue(nowMs, activity, this.#pool.settings)
  }
}
