/**
 * Hot path: requests that a server has not answered yet and that may change what a text means there, or whether it may be parsed at all. As
 * long as there is one, only the server can tell the outcome of a Parse.
 */

import type { TextKind } from '../sql/text-kind.ts'
import { STATUS_FAILED, STATUS_IDLE } from '../wire/backend.ts'
import type { Ledger } from './ledger.ts'

export class InFlight {
  // For the last request of each kind: how many ReadyForQuery messages will have come when it has been answered (see `Ledger.readies`); -1 if
  // there was none.
  /** A request that may change settings or tables. */
  #changesUntil = -1
  /** A request that may begin a transaction, which a later request may make fail. */
  #beginsUntil = -1
  /** A request that creates a table. */
  #createsUntil = -1
  /** A request that creates a temporary table. */
  #createsTemporaryUntil = -1
  /** The last batch of this lease in which a portal was bound (see `Ledger.batch`); -1 for none. */
  #boundBatch = -1

  /** A lease begins: no request is unanswered. */
  leaseBegins(): void {
    this.#changesUntil = -1
    this.#beginsUntil = -1
    this.#createsUntil = -1
    this.#createsTemporaryUntil = -1
    this.#boundBatch = -1
  }

  /** Notes a statement that runs before the next ReadyForQuery that is not owed yet. */
  add(kind: TextKind, ledger: Ledger): void {
    if (kind === 'planned' || kind === 'fleeting') return
    const until = ledger.readies + 1
    this.#beginsUntil = until
    if (kind === 'begin') return
    this.#changesUntil = until
    if (kind === 'creates') this.#createsUntil = until
    else if (kind === 'creates-temporary') this.#createsTemporaryUntil = until
  }

  /** Notes a statement that is bound, presumably to be executed in the same batch. */
  bound(kind: TextKind, ledger: Ledger): void {
    this.#boundBatch = ledger.batch
    this.add(kind, ledger)
  }

  /** Notes an Execute. A portal that is named, or that was bound in an earlier batch, may run anything. */
  executed(isNamed: boolean, ledger: Ledger): void {
    if (isNamed || this.#boundBatch !== ledger.batch) this.add('other', ledger)
  }

  /** Whether the settings that will apply to a message sent now are known. The server reports changes with the ReadyForQuery. */
  areSettingsKnown(ledger: Ledger): boolean {
    return ledger.haveCome(this.#changesUntil)
  }

  /** Whether the settings will be known once the earlier batches have been answered; false if the current batch may change them. */
  areSettingsComing(ledger: Ledger): boolean {
    return this.#changesUntil <= ledger.readies && ledger.copy === 'none'
  }

  /** Whether a Parse that is sent now will find the settings and tables that we know of, and no failed transaction. */
  isNothingOn({ status, ledger }: { readonly status: number; readonly ledger: Ledger }): boolean {
    if (status === STATUS_FAILED) return false
    // This counts even if a Flush has brought all other answers: changed settings are reported only with the ReadyForQuery.
    if (!this.areSettingsKnown(ledger)) return false
    if (ledger.isEmpty) return true
    // In the same batch as a BEGIN, a Parse is skipped if the BEGIN fails. In a later batch, the transaction may have failed by then.
    return !ledger.awaitsReady || (status === STATUS_IDLE && ledger.haveCome(this.#beginsUntil))
  }

  /** Returns, once, what was created by the requests that are answered by the ReadyForQuery being handled; call it before that is settled. */
  takeCreated(ledger: Ledger): 'table' | 'temporary table' | null {
    if (this.#createsUntil === -1 && this.#createsTemporaryUntil === -1) return null
    const isTable = isDue(this.#createsUntil, ledger)
    const isTemporary = isDue(this.#createsTemporaryUntil, ledger)
    if (isTable) this.#createsUntil = -1
    if (isTemporary) this.#createsTemporaryUntil = -1
    return isTable ? 'table' : isTemporary ? 'temporary table' : null
  }
}

/** Whether the awaited ReadyForQuery is the one being handled, or an earlier one. */
function isDue(until: number, ledger: Ledger): boolean {
  return until !== -1 && ledger.haveCome(until - 1)
}
