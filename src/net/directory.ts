/** Asks a directory whether passwords are right: one server of it after the other, and not too many questions at once. */

import { filterFor, type LdapOptions, nameFor } from '../auth/ldap.ts'
import { FewAtOnce } from '../base/few-at-once.ts'
import { invariant } from '../base/invariant.ts'
import { type DialLdap, dialLdap, type LdapConnection, LdapRefusal } from './ldap-connection.ts'

/** As many as PgBouncer takes in; there, one after the other. */
const MAX_AT_ONCE = 20

export interface DirectoryOptions {
  readonly dial?: DialLdap
  /** The directory cannot be asked, or cannot tell. */
  onTrouble(sentence: string): void
}

export class Directory {
  readonly #dial: DialLdap
  readonly #onTrouble: DirectoryOptions['onTrouble']
  readonly #few = new FewAtOnce(MAX_AT_ONCE)
  /** Which server of a list has answered last: one that is down is not waited for each time. */
  readonly #lasts = new WeakMap<LdapOptions, number>()

  constructor({ dial = dialLdap, onTrouble }: DirectoryOptions) {
    this.#dial = dial
    this.#onTrouble = onTrouble
  }

  /** Never rejects: whoever cannot be asked about is not let in. `isWanted` is asked when its turn has come. */
  isRight(options: LdapOptions, user: string, password: string, isWanted: () => boolean): Promise<boolean> {
    // A server takes a name without a password for nobody in particular, and lets that in.
    invariant(password !== '', 'an empty password came as far as the directory')
    return this.#few.do(async () => isWanted() && (await this.#askServers(options, user, password)))
  }

  async #askServers(options: LdapOptions, user: string, password: string): Promise<boolean> {
    const { urls } = options
    const first = this.#lasts.get(options) ?? 0
    for (let turn = 0; turn < urls.length; turn++) {
      const at = (first + turn) % urls.length
      const url = urls[at] as string
      try {
        const isRight = await this.#ask(url, options, user, password)
        this.#lasts.set(options, at)
        return isRight
      } catch (problem) {
        this.#onTrouble(`the LDAP server ${url} cannot tell: ${reasonOf(problem)}`)
        if (problem instanceof LdapRefusal) return false
      }
    }
    return false
  }

  async #ask(url: string, options: LdapOptions, user: string, password: string): Promise<boolean> {
    const connection = await this.#dial(url, options)
    try {
      const name = await this.#nameOf(connection, options, user)
      return name !== null && name !== '' && (await connection.bind(name, password))
    } finally {
      connection.close()
    }
  }

  /** null: there is no such entry, or more than one. */
  async #nameOf(connection: LdapConnection, { how }: LdapOptions, user: string): Promise<string | null> {
    if (how.kind === 'name') return nameFor(how, user)
    if (how.asWhom !== '' && !(await connection.bind(how.asWhom, how.password)))
      throw new LdapRefusal(`${how.asWhom} cannot log in`)
    const names = await connection.search(how.base, how.scope, filterFor(how, user))
    if (names.length > 1) throw new LdapRefusal(`there is more than one entry for user ${JSON.stringify(user)}`)
    return names[0] ?? null
  }
}

/** In one line: libraries add what it was about. */
function reasonOf(problem: unknown): string {
  return (problem instanceof Error ? problem.message || String((problem as { code?: unknown }).code) : String(problem))
    .replace(/\s+/g, ' ')
    .trim()
}
