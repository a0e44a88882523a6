/**
 * Hot path: whether a client may have set something that decides what texts mean, and that servers do not report. From then on only the
 * server knows what a text means there. What it prepares is nobody else's; but that of a search path is shared by those who have set it in
 * the same words, as tenants of one application do: Postgres sees itself whether a plan is for another path.
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

/** Longer texts are not told apart. */
const MAX_WORDS = 256

/** In place of words that do not tell what is set: values come from elsewhere, or are the outcome of something. */
const UNTOLD = '?'

export class UnseenSettings {
  /** How many ReadyForQuery will have come when it has been set (see `Ledger.readies`); -1 for nothing. */
  #setUntil = -1
  #words: string | null = ''

  /** The words by which search paths were set; null if nobody else is to be given what is prepared. */
  get words(): string | null {
    return this.#words
  }

  get areSet(): boolean {
    return this.#setUntil !== -1
  }

  /** A lease begins, and nothing is unanswered. */
  leaseBegins(): void {
    this.#setUntil = -1
    this.#words = ''
  }

  /** A statement of this kind is being sent; `text` is null if it is not there as a whole. */
  add(kind: 'sets' | 'sets-path', text: string | null, { ledger, profile, context }: UnseenContext): void {
    if (kind === 'sets') this.#words = null
    else {
      // Null where the server does not report it.
      const searchPath = profile.values[context.tracked.place('search_path')] ?? null
      if (searchPath !== null) return
      if (this.#words !== null)
        this.#words = this.#words.length > MAX_WORDS ? UNTOLD : `${this.#words};${wordsIn(text)}`
    }
    this.#setUntil = ledger.readies + 1
  }

  /** What was set for a transaction ends with that. What was set for longer stays: what the server has was prepared before. */
  settle({ ledger, status, statements }: UnseenContext): void {
    if (!this.areSet || status !== STATUS_IDLE || !ledger.haveCome(this.#setUntil)) return
    this.leaseBegins()
    statements.changedHere()
  }
}

function wordsIn(text: string | null): string {
  return text === null || text.length > MAX_WORDS || /[$(]/.test(text) ? UNTOLD : text
}
