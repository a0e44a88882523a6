/**
 * Hot path: whether a client may have set something that decides what texts mean, and that servers do not report. From then on only the
 * server knows what a text means there, and what it prepares is nobody else's.
 */

import type { TextKind } from '../sql/text-kind.ts'
import { STATUS_IDLE } from '../wire/backend.ts'
import type { Ledger } from './ledger.ts'
import type { Profile, Tracked } from './profile.ts'
import type { ServerStatements } from './statements.ts'

/** The server. */
interface UnseenContext {
  readonly ledger: Ledger
  readonly status: number
  readonly profile: Profile
  readonly context: { readonly tracked: Tracked }
  readonly statements: ServerStatements
}

export class UnseenSettings {
  /** How many ReadyForQuery will have come when it has been set (see `Ledger.readies`); -1 for nothing. */
  #setUntil = -1

  get areSet(): boolean {
    return this.#setUntil !== -1
  }

  /** A lease begins, and nothing is unanswered. */
  leaseBegins(): void {
    this.#setUntil = -1
  }

  /** A statement of this kind is being sent. */
  add(kind: TextKind, { ledger, profile, context }: UnseenContext): void {
    if (kind !== 'sets' && kind !== 'sets-path') return
    // Null where the server does not report it.
    const searchPath = profile.values[context.tracked.place('search_path')] ?? null
    if (kind === 'sets' || searchPath === null) this.#setUntil = ledger.readies + 1
  }

  /** What was set for a transaction ends with that. What was set for longer stays: what the server has was prepared before. */
  settle({ ledger, status, statements }: UnseenContext): void {
    if (!this.areSet || status !== STATUS_IDLE || !ledger.haveCome(this.#setUntil)) return
    this.#setUntil = -1
    statements.changedHere()
  }
}
