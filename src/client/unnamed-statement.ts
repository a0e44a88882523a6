/** Hot path: the unnamed statement of one client, kept so that it can be bound in a later transaction, on whatever server. */

import type { Effect, Ledger } from '../server/ledger.ts'
import { deallocatesAll } from '../sql/deallocate.ts'

/** A larger buffer is given back when its statement is gone. */
const MAX_IDLE_BYTES = 4 * 1024

export class UnnamedStatement {
  /** Text and types, in the first `#length` bytes; -1 if there is no statement, or it was too large to be kept. */
  #body: Buffer | null = null
  #length = -1
  #deallocatesAll = false
  /** Tells this statement from all that the client had before. */
  #serial = 0
  #lastSerial = 0
  /** The last batch of this lease in which it was given or taken away (see `Ledger.batch`); -1 for none. */
  #batch = -1
  /** For a message that cannot have been skipped: it failed itself, and had dropped the statement by then. */
  readonly #failed: Effect = {
    reply: null,
    undo: (_, batch) => {
      if (this.#batch === batch) this.forget()
    },
  }

  get serial(): number {
    return this.#serial
  }

  /** What stands in a Parse behind the name; null if there is none. Valid until it changes. */
  get body(): Buffer | null {
    return this.#body === null || this.#length < 0 ? null : this.#body.subarray(0, this.#length)
  }

  /** To run it drops all that the session has prepared. */
  get deallocatesAll(): boolean {
    return this.#deallocatesAll && this.#length >= 0
  }

  /** A lease begins, and nothing is unanswered. */
  leaseBegins(): void {
    this.#batch = -1
  }

  /** An earlier batch that is not answered yet may have changed it, or may not. */
  isInDoubt(ledger: Ledger): boolean {
    return this.#batch >= 0 && !ledger.isSettled(this.#batch)
  }

  /** A simple query is being sent: Postgres drops it. */
  forget(): void {
    this.#length = -1
    if (this.#body !== null && this.#body.length > MAX_IDLE_BYTES) this.#body = null
    this.#serial = ++this.#lastSerial
  }

  /**
   * A message that drops it is being sent, or will be when the statement that replaces it has been kept. What is returned hangs on
   * that message: Postgres keeps the statement if it skips the message after a failure before it.
   */
  drop(ledger: Ledger): Effect {
    const effect = ledger.mayBeSkipped ? this.#bringBack(this.#lastSerial + 1) : this.#failed
    this.#length = -1
    this.#serial = ++this.#lastSerial
    this.#batch = ledger.batch
    return effect
  }

  /** Keeps the statement as it is, for the case that what is about to be sent as number `next` is skipped. */
  #bringBack(next: number): Effect {
    const body = this.#body
    const length = this.#length
    const serial = this.#serial
    const batch = this.#batch
    this.#body = null
    return {
      reply: null,
      undo: (wasSkipped) => {
        // A later batch may have given the client another one.
        if (this.#serial !== next) return
        this.forget()
        if (!wasSkipped) return
        this.#body = body
        this.#length = length
        this.#deallocatesAll = body !== null && deallocatesAll(body, 0, length)
        this.#serial = serial
        this.#batch = batch
      },
    }
  }

  /** The statement in bytes `start` to `end` takes the place of what was dropped. */
  keep(buffer: Buffer, start: number, end: number): void {
    const length = end - start
    if (this.#body === null || this.#body.length < length) this.#body = Buffer.allocUnsafeSlow(Math.max(length, 256))
    buffer.copy(this.#body, 0, start, end)
    this.#length = length
    this.#deallocatesAll = deallocatesAll(buffer, start, end)
  }
}
