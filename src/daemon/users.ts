/** Who may log in, and with what: the users of auth_file, and what their logins have taught us for logging in to servers. */

import { readFileSync } from 'node:fs'
import type { ScramKeys } from '../auth/scram-keys.ts'
import { type PlainSecret, parseSecret, type Secret } from '../auth/secrets.ts'
import { parseUserFile } from '../auth/user-file.ts'
import type { Proof } from '../client/authentication.ts'
import type { Settings } from '../settings/load.ts'
import { error, type Problem } from '../settings/problem.ts'

export class Users {
  readonly #secrets: ReadonlyMap<string, Secret>
  readonly #keys = new Map<string, ScramKeys>()
  readonly #passwords = new Map<string, PlainSecret>()
  /** Which kind of secret most users have. */
  readonly usualKind: Secret['kind']

  constructor(secrets: ReadonlyMap<string, Secret>) {
    this.#secrets = secrets
    const counts = { plain: 0, md5: 0, scram: 0 }
    for (const { kind } of secrets.values()) counts[kind]++
    this.usualKind = counts.scram > counts.plain + counts.md5 ? 'scram' : counts.md5 > counts.plain ? 'md5' : 'plain'
  }

  get names(): Iterable<string> {
    return this.#secrets.keys()
  }

  /** What a client must prove to know; null if there is no such user. */
  secret(user: string): Secret | null {
    return this.#secrets.get(user) ?? null
  }

  /** A client has logged in: servers may ask for the same. Only users of auth_file are remembered, so this cannot grow. */
  learn(user: string, proof: Proof): void {
    if (!this.#secrets.has(user)) return
    if (proof.keys) this.#keys.set(user, proof.keys)
    if (proof.password) this.#passwords.set(user, proof.password)
  }

  /** What logs in to a server as this user. */
  serverSecret(user: string, password: string | null): Secret | null {
    if (password !== null) return parseSecret(password)
    const secret = this.secret(user)
    return secret?.kind === 'plain' ? secret : (this.#passwords.get(user) ?? secret)
  }

  scramKeys(user: string): ScramKeys | null {
    return this.#keys.get(user) ?? null
  }
}

export interface LoadedUsers {
  readonly users: Users
  /** A line that cannot be understood lets nobody in, and is no reason not to start; a file that cannot be read is. */
  readonly problems: readonly Problem[]
}

/** Reads auth_file, if there is one. */
export function loadUsers({ general, origins }: Settings): LoadedUsers {
  const path = general.auth_file
  if (path === '') return { users: new Users(new Map()), problems: [] }
  try {
    const { users, problems } = parseUserFile(readFileSync(path, 'utf8'), path)
    return { users: new Users(users), problems: problems.map((problem) => ({ ...problem, severity: 'warning' })) }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    return { users: new Users(new Map()), problems: [error(origins.auth_file, `auth_file cannot be read: ${reason}`)] }
  }
}
