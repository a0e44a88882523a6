/** Who may log in, and with what: the users of auth_file, and what their logins have taught us for logging in to servers. */

import { readFileSync } from 'node:fs'
import type { ScramKeys } from '../auth/scram-keys.ts'
import { type PlainSecret, parseSecret, type Secret } from '../auth/secrets.ts'
import { parseUserFile } from '../auth/user-file.ts'
import type { Log } from '../base/log.ts'
import type { Proof } from '../client/authentication.ts'

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

/** Reads auth_file. What is wrong in it is logged; a line that cannot be understood lets nobody in. */
export function readUsers(path: string, log: Log): Users {
  if (path === '') return new Users(new Map())
  const { users, problems } = parseUserFile(readFileSync(path, 'utf8'), path)
  for (const { sentence, file, line } of problems) log.warning(`${file}:${line}: ${sentence}`)
  return new Users(users)
}
