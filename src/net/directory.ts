/** Asks an LDAP directory whether passwords are right: one of its servers after the other, with a limit on simultaneous questions. */

import { filterFor, type LdapOptions, nameFor } from '../auth/ldap.ts'
import { FewAtOnce } from '../base/few-at-once.ts'
import { invariant } from '../base/invariant.ts'
import { type DialLdap, dialLdap, type LdapConnection, LdapRefusal } from './ldap-connection.ts'

/** As many as PgBouncer takes in, which asks them one after the other. */
const MAX_AT_ONCE = 20

export interface DirectoryOptions {
  readonly dial?: DialLdap
  /** Called if the directory cannot be asked, or cannot tell. */
  onTrouble(sentence: string): void
}

export class Directory {
  readonly #dial: DialLdap
  readonly #onTrouble: DirectoryOptions['onTrouble']
  readonly #few = new FewAtOnce(MAX_AT_ONCE)
  /** Which server of a list has answered last, so that one that is down is not waited for each time. */
  readonly #lasts = new WeakMap<LdapOptions, number>()

  constructor({ dial = dialLdap, onTrouble }: DirectoryOptions) {
    this.#dial = dial
    this.#onTrouble = onTrouble
  }

  /**
   * Resolves to whether the password is right. Never rejects: if the directory cannot tell, the user is not let in. `isWanted` is called
   * when the turn of this question has come; if it returns false, the directory is not asked.
   *
   * @param place where the client is: places take turns
   */
  isRight(
    options: LdapOptions,
    user: string,
    password: string,
    place: string,
    isWanted: () => boolean,
  ): Promise<boolean> {
    // An LDAP server takes a name without a password for an anonymous login, and accepts it.
    invariant(password !== '', 'an empty password came as far as the directory')
    return this.#few.do(async () => isWanted() && (await this.#askServers(options, user, password)), place)
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
        this.#onTrouble(`the LDAP server ${url} could not verify a password: ${reasonOf(problem)}`)
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

  /** Resolves to the name of the user's entry; null if there is none. Rejects if there is more than one. */
  async #nameOf(connection: LdapConnection, { how }: LdapOptions, user: string): Promise<string | null> {
    if (how.kind === 'name') return nameFor(how, user)
    if (how.asWhom !== '' && !(await connection.bind(how.asWhom, how.password)))
      throw new LdapRefusal(`${how.asWhom} cannot log in`)
    const names = await connection.search(how.base, how.scope, filterFor(how, user))
    if (names.length > 1) throw new LdapRefusal(`there is more than one entry for user ${JSON.stringify(user)}`)
    return names[0] ?? null
  }
}

/** Returns the reason in one line: libraries add details on further lines. */
function reasonOf(problem: unknown): string {
  return (problem instanceof Error ? problem.message || String((problem as { code?: unknown }).code) : String(problem))
    .replace(/\s+/g, ' ')
    .trim()
}
