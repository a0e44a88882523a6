/** Hot path: tells which statement names of one client are in doubt: it is not known what they stand for until the server has answered. */

import type { Ledger } from '../server/ledger.ts'

/** How many names that are given or taken away during a lease are noted one by one. */
const MAX_CHANGES = 1_000

export class DoubtfulNames {
  /** Names that were given or taken away during this lease, each with the last batch in which that happened: see `Ledger.batch`. */
  #changes: Map<string, number> | null = null
  /** The last batch whose names are not in `#changes` any more, because there were too many; -1 for none. */
  #manyChangesBatch = -1
  /** How many ReadyForQuery will have come when a query that drops all statements has been answered (see `Ledger.readies`); -1 for none. */
  #dropQuery = -1
  /** The last batch in which a statement was bound that drops all statements; -1 for none. */
  #dropBatch = -1

  /** A lease begins, and the server owes nothing. */
  leaseBegins(): void {
    this.#dropQuery = -1
    this.#dropBatch = -1
    this.#manyChangesBatch = -1
    this.#changes = null
  }

  /** The message that is being sent gives this name to a statement, or takes it away. */
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
   * Returns true if it is not known yet whether the name stands for a statement, and for which one: an earlier batch that changed it is not
   * answered yet, and may have failed, so that the change was skipped.
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

  /** A command that drops all statements has not been answered yet. Until then no message that names a statement is sent. */
  hasAll(ledger: Ledger): boolean {
    if (this.#dropQuery < 0 && this.#dropBatch < 0) return false
    if (ledger.isEmpty || ledger.haveCome(this.#dropQuery)) this.#dropQuery = -1
    if (ledger.isEmpty || ledger.isAnswered(this.#dropBatch)) this.#dropBatch = -1
    return this.#dropQuery >= 0 || this.#dropBatch >= 0
  }

  /** A statement that drops all statements has been bound in the batch that is being sent. */
  isDropInBatch(ledger: Ledger): boolean {
    return this.#dropBatch === ledger.batch
  }
}
