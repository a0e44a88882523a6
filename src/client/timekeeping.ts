/** Hot path: when a client's requests and transactions began and were answered; for what is counted, and for deadlines. */

import type { Clock } from '../base/clock.ts'
import type { Pool } from '../pool/pool.ts'
import type { ProblemKind } from '../problems.ts'
import type { Server } from '../server/server.ts'
import { STATUS_IDLE } from '../wire/backend.ts'
import { overdue } from './deadlines.ts'

export class Timekeeping {
  /** When the request that runs began; 0 before the first. */
  requestMs = 0
  /** When the client was last answered. Each of these begins as a number: V8 would make an object of every time that is put where `undefined` was. */
  answeredMs = 0
  #transactionMs = 0
  /** How long the request that runs has waited for the server. */
  #waitedMs = 0
  readonly #clock: Clock
  readonly #pool: Pool
  /** What a follower of changes asks for takes days, and tells nothing about how others fare. */
  readonly #isTimed: boolean

  constructor(clock: Clock, pool: Pool) {
    this.#clock = clock
    this.#pool = pool
    this.#isTimed = !pool.isOfOneClient
    this.answeredMs = clock.nowMs
  }

  /** The client has asked for something, and may have to wait for a server. */
  requestCame(): void {
    this.requestMs = this.#clock.nowMs
  }

  leaseBegins(): void {
    this.#waitedMs = this.#clock.nowMs - this.requestMs
    this.requestMs = this.#clock.nowMs
    this.#transactionMs = this.requestMs
  }

  /** A request is being sent, and nothing is owed for one before it. */
  requestBegins(server: Server): void {
    this.requestMs = this.#clock.nowMs
    if (server.status === STATUS_IDLE && !server.ledger.isBatchOpen) this.#transactionMs = this.requestMs
  }

  /** The client has got an answer that is no ReadyForQuery of a server's. */
  answeredOtherwise(): void {
    this.answeredMs = this.#clock.nowMs
  }

  /** The server has answered a request, and returns how many milliseconds that took; `status` is that of the transaction. */
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

  /** When the transaction began that runs, if one does. */
  get transactionMs(): number {
    return this.#transactionMs
  }

  /** What has taken too long, if anything has. */
  problem(nowMs: number, server: Server): ProblemKind | null {
    const activity = {
      isRunning: !server.ledger.isEmpty,
      isInTransaction: server.status !== STATUS_IDLE || server.ledger.isBatchOpen,
      requestMs: this.requestMs,
      transactionMs: this.#transactionMs,
      // What was sent since may be nothing that is answered.
      answeredMs: Math.max(this.answeredMs, this.requestMs),
    }
    return overdue(nowMs, activity, this.#pool.settings)
  }
}
