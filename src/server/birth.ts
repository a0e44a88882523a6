/** Settings that Postgres accepts only when a connection begins: a client that asks for one needs servers that were opened with it. */

import type { Notice } from '../wire/notices.ts'

/** Name in lower case → value. */
export type Birth = ReadonlyMap<string, string>

export const NO_BIRTH: Birth = new Map()

/** PostgreSQL's own: contexts `backend` and `superuser-backend` in https://www.postgresql.org/docs/current/view-pg-settings.html */
const KNOWN = [
  'ignore_system_indexes',
  'jit_debugging_support',
  'jit_profiling_support',
  'log_connections',
  'log_disconnections',
  'post_auth_delay',
]

/** Extensions have such settings too, but fewer than this. */
const MAX_LEARNT = 100

export class BirthSettings {
  readonly #names = new Set(KNOWN)

  /** Returns those of a client's settings that Postgres accepts only when a connection begins. */
  of(settings: ReadonlyMap<string, string>): Birth {
    const birth = [...settings].filter(([name]) => this.#names.has(name))
    return birth.length === 0 ? NO_BIRTH : new Map(birth.sort(([one], [other]) => (one < other ? -1 : 1)))
  }

  /**
   * Postgres has refused to change one of these settings on an open server. Returns its name if Postgres may accept it when a connection
   * begins, and remembers that; null if the refusal had another reason.
   */
  learn({ sqlstate, message }: Notice, settings: ReadonlyMap<string, string>): string | null {
    if (sqlstate !== CANNOT_BE_CHANGED_NOW || FOR_OTHER_REASONS.test(message)) return null
    // The name is quoted in every language of the messages.
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
