/** The permits of one pool when this process alone grants them: exact, at once, and without messages. */

import type { Clock } from '../../base/clock.ts'
import type { PermitBook } from './book.ts'
import type { Holder, Permits } from './holder.ts'
import type { Account } from './limit.ts'

export class LocalPermits implements Permits {
  readonly #book: PermitBook
  readonly #clock: Clock
  readonly #account: Account

  constructor(book: PermitBook, clock: Clock, database: string, user: string, holder: Holder) {
    this.#book = book
    this.#clock = clock
    this.#account = book.open(database, user, holder)
  }

  get floor(): number {
    return this.#account.pool.floorOf(this.#account)
  }

  ask(): void {
    this.#book.accounts.ask(this.#account, this.#clock.nowMs)
  }

  mustYield(): string | null {
    return this.#book.accounts.mustYield(this.#account, this.#clock.nowMs)
  }

  giveBack(): void {
    this.#book.accounts.giveBack(this.#account, this.#clock.nowMs)
  }

  /** No other process has servers of the pool. */
  refused(_sqlstate: string, decided: (isSharedOut: boolean) => void): void {
    decided(false)
  }

  resized(): void {
    this.#book.resized(this.#account, this.#clock.nowMs)
  }

  close(): void {
    this.#book.close(this.#account, this.#clock.nowMs)
  }
}
