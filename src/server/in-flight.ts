/**
 * Hot path: what is on its way to a server and may change what a text means there, or whether it may be parsed at all. As long as
 * there is such a thing, only the server can say what becomes of a Parse.
 */

import type { TextKind } from '../sql/text-kind.ts'
import { STATUS_FAILED, STATUS_IDLE } from '../wire/backend.ts'
import type { Ledger } from './ledger.ts'

export class InFlight {
  // Each is how many ReadyForQuery will have come when it has been answered (see `Ledger.readies`); -1 for nothing.
  /** Whatever it is: it may change settings or tables. */
  #changesUntil = -1
  /** It begins a transaction, which what follows may fail. */
  #beginsUntil = -1
  /** It makes a table. */
  #createsUntil = -1
  /** It makes a temporary one. */
  #createsTemporaryUntil = -1
  /** The last batch of this lease in which a portal was bound (see `Ledger.batch`); -1 for none. */
  #boundBatch = -1

  /** A lease begins, and nothing is unanswered. */
  leaseBegins(): void {
    this.#changesUntil = -1
    this.#beginsUntil = -1
    this.#createsUntil = -1
    this.#createsTemporaryUntil = -1
    this.#boundBatch = -1
  }

  /** A statement of this kind will have been run by the next ReadyForQuery that is not owed yet. */
  add(kind: TextKind, ledger: Ledger): void {
    if (kind === 'planned' || kind === 'fleeting') return
    const until = ledger.readies + 1
    this.#beginsUntil = until
    if (kind === 'begin') return
    this.#changesUntil = until
    if (kind === 'creates') this.#createsUntil = until
    else if (kind === 'creates-temporary') this.#createsTemporaryUntil = until
  }

  /** A statement of this kind is bound, to be run in the same batch. */
  bound(kind: TextKind, ledger: Ledger): void {
    this.#boundBatch = ledger.batch
    this.add(kind, ledger)
  }

  /** What is run may have been bound in an earlier batch, and may be anything. */
  executed(isNamed: boolean, ledger: Ledger): void {
    if (isNamed || this.#boundBatch !== ledger.batch) this.add('other', ledger)
  }

  /** Whether the settings are known that what is sent now will meet. They are reported with the ReadyForQuery. */
  areSettingsKnown(ledger: Ledger): boolean {
    return ledger.haveCome(this.#changesUntil)
  }

  /** They will be when what was sent before has been answered; not so if they may be changed by the batch that is being sent. */
  areSettingsComing(ledger: Ledger): boolean {
    return this.#changesUntil <= ledger.readies && ledger.copy === 'none'
  }

  /** Whether a Parse that is sent now would find the server as it is known to be, and in a transaction that has not failed. */
  isNothingOn({ status, ledger }: { readonly status: number; readonly ledger: Ledger }): boolean {
    if (status === STATUS_FAILED) return false
    // Even if all else has been answered because of a Flush.
    if (!this.areSettingsKnown(ledger)) return false
    if (ledger.isEmpty) return true
    // What is sent in the batch of a BEGIN shares its fate. In a later one the transaction may have failed.
    return !ledger.awaitsReady || (status === STATUS_IDLE && ledger.haveCome(this.#beginsUntil))
  }

  /** What is made, once, by what the ReadyForQuery is the answer to that comes now. */
  takeCreated(ledger: Ledger): 'table' | 'temporary table' | null {
    if (this.#createsUntil === -1 && this.#createsTemporaryUntil === -1) return null
    const isTable = isDue(this.#createsUntil, ledger)
    const isTemporary = isDue(this.#createsTemporaryUntil, ledger)
    if (isTable) this.#createsUntil = -1
    if (isTemporary) this.#createsTemporaryUntil = -1
    return isTable ? 'table' : isTemporary ? 'temporary table' : null
  }
}

/** The ReadyForQuery that it is waiting for is the one that comes now, or an earlier one. */
function isDue(until: number, ledger: Ledger): boolean {
  return until !== -1 && ledger.haveCome(until - 1)
}
