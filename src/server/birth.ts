/** Settings that Postgres takes only while a connection begins: a client that asks for one needs servers that were opened with it. */

import type { Notice } from '../wire/notices.ts'

/** Name in lower case → value. */
export type Birth = ReadonlyMap<string, string>

export const NO_BIRTH: Birth = new Map()

/** Those of Postgres itself: https://www.postgresql.org/docs/current/view-pg-settings.html, contexts `backend` and `superuser-backend`. */
const KNOWN = [
  'ignore_system_indexes',
  'jit_debugging_support',
  'jit_profiling_support',
  'log_connections',
  'log_disconnections',
  'post_auth_delay',
]

/** Extensions have some of their own, but not as many as this. */
const MAX_LEARNT = 100

export class BirthSettings {
  readonly #names = new Set(KNOWN)

  /** Which of a client's settings are such. */
  of(settings: ReadonlyMap<string, string>): Birth {
    const birth = [...settings].filter(([name]) => this.#names.has(name))
    return birth.length === 0 ? NO_BIRTH : new Map(birth.sort(([one], [other]) => (one < other ? -1 : 1)))
  }

  /**
   * Postgres has refused to change one of these settings on an open server. Returns its name if it may be taken when one begins; null if
   * that was not the reason.
   */
  learn({ sqlstate, message }: Notice, settings: ReadonlyMap<string, string>): string | null {
    if (sqlstate !== CANNOT_BE_CHANGED_NOW || FOR_OTHER_REASONS.test(message)) return null
    // Whatever the language, the name stands in quotes.
    const name = QUOTED_NAME.exec(message)?.[1]?.toLowerCase()
    if (name === undefined || !settings.has(name)) return null
    if (!this.#names.has(name) && this.#names.size < KNOWN.length + MAX_LEARNT) this.#names.add(name)
    return this.#names.has(name) ? name : null
  }
}

/** cant_change_runtime_param */
const CANNOT_BE_CHANGED_NOW = '55P02'

const FOR_OTHER_REASONS = /cannot be changed/

const QUOTED_NAME = /["«»„“”‘’「]\s?([A-Za-z_][\w.$]*)\s?["«»„“”‘’」]/
