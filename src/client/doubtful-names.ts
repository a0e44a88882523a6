/** Hot path: which statement names of one client mean something that is not known before the server has answered. */

import type { Ledger } from '../server/ledger.ts'

/** How many names that were given or taken away during a lease are noted one by one. */
const MAX_CHANGES = 1_000

export class DoubtfulNames {
  /** Names that were given or taken away during this lease, each with the last batch in which that was: see `Ledger.batch`. */
  #changes: Map<string, number> | null = null
  /** The last batch of those whose names were too many to be noted one by one; -1 for none. */
  #manyChangesBatch = -1
  /** How many ReadyForQuery will have come when a query that drops all statements has been answered (see `Ledger.readies`); else -1. */
  #dropQuery = -1
  /** The last batch in which a statement was bound that does so; else -1. */
  #dropBatch = -1

  /** A lease begins, and nothing is unanswered. */
  leaseBegins(): void {
    this.#dropQuery = -1
    this.#dropBatch = -1
    this.#manyChangesBatch = -1
    this.#changes = null
  }

  /** The name is given or taken away by what is being sent. */
  note(name: string, { batch }: Ledger): void {
    this.#changes ??= new Map()
    if (this.#changes.size >= MAX_CHANGES) {
      // Until this batch has been answered, every name is in doubt.
      this.#changes.clear()
      this.#manyChangesBatch = batch
    }
    this.#changes.set(name, batch)
  }

  /**
   * Whether the name stands for something, and for what, is known only when an earlier batch has been answered, since it may have
   * failed, and what it did to the name was skipped.
   */
  has(name: string, ledger: Ledger): boolean {
    if (this.hasAll(ledger)) return true
    if (this.#manyChangesBatch >= 0 && !ledger.isAnswered(this.#manyChangesBatch) && !ledger.isAllSettled) return true
    if (this.#changes === null) return false
    const batch = this.#changes.get(name)
    return batch !== undefined && !ledger.isSettled(batch)
  }

  /** A query that drops all statements is being sent. Whether it succeeds is known when it has been answered. */
  dropSent(ledger: Ledger): void {
    this.#dropQuery = ledger.readies
  }

  /** A statement is being bound that drops all statements when it is run. */
  dropBound(ledger: Ledger): void {
    this.#dropBatch = ledger.batch
  }

  /** A command that drops them has not been answered yet, and nothing that names one is sent until then. */
  hasAll(ledger: Ledger): boolean {
    if (this.#dropQuery < 0 && this.#dropBatch < 0) return false
    if (ledger.isEmpty || ledger.haveCome(this.#dropQuery)) this.#dropQuery = -1
    if (ledger.isEmpty || ledger.isAnswered(this.#dropBatch)) this.#dropBatch = -1
    return this.#dropQuery >= 0 || this.#dropBatch >= 0
  }

  /** Such a command stands in the batch that is being sent. */
  isDropInBatch(ledger: Ledger): boolean {
    return this.#dropBatch === ledger.batch
  }
}
