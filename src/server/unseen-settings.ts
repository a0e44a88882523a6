/**
 * Hot path: notes whether a client may have changed settings that decide what texts mean but that servers do not report. From then on only
 * the server knows what a text means there, and statements that it prepares are not shared with other clients. The search path is an
 * exception: clients that have set it in the same words share statements, as the tenants of one application do, since Postgres itself
 * notices when a plan was made for another path.
 */

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

/** Longer texts all become `UNTOLD`. */
const MAX_WORDS = 256

/** Stands for a text that is too long or not available, or whose value is a parameter or the result of an expression. */
const UNTOLD = '?'

export class UnseenSettings {
  /** How many ReadyForQuery messages will have come when the settings have been set (see `Ledger.readies`); -1 if none were. */
  #setUntil = -1
  #words: string | null = ''

  /** The texts that have set the search path; empty if none has. Null if statements prepared now must not be shared. */
  get words(): string | null {
    return this.#words
  }

  get areSet(): boolean {
    return this.#setUntil !== -1
  }

  /** A lease begins: nothing is set, and no request is unanswered. */
  leaseBegins(): void {
    this.#setUntil = -1
    this.#words = ''
  }

  /** Notes that a statement of this kind is being sent. `text` is null if it is not available as a whole. */
  add(kind: 'sets' | 'sets-path', text: string | null, { ledger, profile, context }: UnseenContext): void {
    if (kind === 'sets') this.#words = null
    else {
      // A server that reports the search path (PostgreSQL 18 and later) needs no guessing.
      const searchPath = profile.values[context.tracked.place('search_path')] ?? null
      if (searchPath !== null) return
      if (this.#words !== null)
        this.#words = this.#words.length > MAX_WORDS ? UNTOLD : `${this.#words};${wordsIn(text)}`
    }
    this.#setUntil = ledger.readies + 1
  }

  /**
   * After the transaction: settings that were made for it alone have ended, others remain. Either way, what the server has prepared may mean
   * something else by now, so it gets a schema version of its own.
   */
  settle({ ledger, status, statements }: UnseenContext): void {
    if (!this.areSet || status !== STATUS_IDLE || !ledger.haveCome(this.#setUntil)) return
    this.leaseBegins()
    statements.changedHere()
  }
}

function wordsIn(text: string | null): string {
  return text === null || text.length > MAX_WORDS || /[$(]/.test(text) ? UNTOLD : text
}
