/** Who may log in, and with which secret: the users of auth_file, and the keys and passwords learned from their logins for use with servers. */

import { type Stats, statSync } from 'node:fs'
import type { ScramKeys } from '../auth/scram-keys.ts'
import {
  isSameSecret,
  type PlainSecret,
  parseSecret,
  type Secret,
  type SecretShape,
  secretText,
  shapeOf,
} from '../auth/secrets.ts'
import { parseUserFile } from '../auth/user-file.ts'
import type { Log } from '../base/log.ts'
import { Lru } from '../base/lru.ts'
import type { Proof } from '../client/authentication.ts'
import type { Settings } from '../settings/load.ts'
import { error, formatProblem, type Problem, quote, SettingsError, warning } from '../settings/problem.ts'
import { keptInstead, readSettingsFile } from './kept-files.ts'

export class Users {
  #secrets: ReadonlyMap<string, Secret>
  #stamp: string
  #shapes: readonly SecretShape[]
  #kinds: ReadonlySet<Secret['kind']>
  readonly #keys = new Map<string, ScramKeys>()
  readonly #passwords = new Map<string, PlainSecret>()
  /** Users who have logged in without being in auth_file, by database and user name. */
  readonly #others = new Lru<string, Other>(MAX_OTHERS)

  constructor({ secrets, stamp }: UserFileContent) {
    this.#secrets = secrets
    this.#stamp = stamp
    this.#shapes = shapesOf(secrets)
    this.#kinds = kindsOf(secrets)
  }

  /** The shape of each user's secret, in an order that changes little on a reload. */
  get shapes(): readonly SecretShape[] {
    return this.#shapes
  }

  /** The kinds of secret that occur in auth_file. */
  get kinds(): ReadonlySet<Secret['kind']> {
    return this.#kinds
  }

  /** The stamp of the file that the users were read from. */
  get stamp(): string {
    return this.#stamp
  }

  /** All secrets as text, to be sent to our other processes. */
  texts(): ReadonlyMap<string, string> {
    return new Map([...this.#secrets].map(([user, secret]) => [user, secretText(secret)]))
  }

  /** Takes the content of the file after it was read again. Users whose secret is unchanged keep what was learned and derived for them. */
  replace({ secrets, stamp }: UserFileContent): UserChanges {
    this.#stamp = stamp
    const before = this.#secrets
    const after = new Map<string, Secret>()
    const changes = { added: 0, removed: 0, changed: 0 }
    for (const [user, secret] of secrets) {
      const known = before.get(user)
      const isSame = known !== undefined && isSameSecret(known, secret)
      // Keep the old object: derived keys are stored on it.
      after.set(user, isSame ? known : secret)
      if (known === undefined) changes.added++
      else if (!isSame) {
        changes.changed++
        this.#unlearn(user)
      }
    }
    for (const user of before.keys()) {
      if (after.has(user)) continue
      changes.removed++
      this.#unlearn(user)
    }
    this.#secrets = after
    this.#shapes = shapesOf(after)
    this.#kinds = kindsOf(after)
    return changes
  }

  #unlearn(user: string): void {
    this.#keys.delete(user)
    this.#passwords.delete(user)
  }

  get names(): Iterable<string> {
    return this.#secrets.keys()
  }

  /** The secret that a client has to prove it knows; null if there is no such user. */
  secret(user: string): Secret | null {
    return this.#secrets.get(user) ?? null
  }

  /**
   * Remembers what a successful login has revealed, since servers may ask for the same. Only users of auth_file are remembered, so the maps
   * cannot grow without limit. Returns whether anything new was learned.
   */
  learn(user: string, { keys, password }: Proof): boolean {
    if (!this.#secrets.has(user)) return false
    const isNew = bringsNew({ keys, password }, this.#keys.get(user), this.#passwords.get(user))
    if (keys) this.#keys.set(user, keys)
    if (password) this.#passwords.set(user, password)
    return isNew
  }

  /** The same for a user who is not in auth_file: auth_query or an LDAP server knows the user. */
  learnOther(database: string, user: string, secret: Secret, { keys, password }: Proof): boolean {
    const key = keyOf(database, user)
    const known = this.#others.get(key)
    const isSame = known !== undefined && isSameSecret(known.secret, secret)
    this.#others.set(key, {
      secret,
      keys: keys ?? (isSame ? known.keys : null),
      password: password ?? (isSame ? known.password : null),
    })
    return !isSame || bringsNew({ keys, password }, known.keys, known.password)
  }

  /** The secret for logging in to a server as this user; null if there is none. `password` comes from the database's settings. */
  serverSecret(database: string, user: string, password: string | null): Secret | null {
    if (password !== null) return parseSecret(password)
    const other = this.#otherOf(database, user)
    const secret = other?.secret ?? this.secret(user)
    // An empty secret ("" in auth_file, or no password in Postgres) is nothing that a server could ask for.
    const given = secret?.kind === 'plain' && secret.isEmpty ? null : secret
    return given?.kind === 'plain' ? given : (other?.password ?? this.#passwords.get(user) ?? given)
  }

  scramKeys(database: string, user: string): ScramKeys | null {
    return this.#otherOf(database, user)?.keys ?? this.#keys.get(user) ?? null
  }

  #otherOf(database: string, user: string): Other | null {
    return this.#secrets.has(user) ? null : (this.#others.get(keyOf(database, user)) ?? null)
  }
}

function bringsNew({ keys, password }: Proof, knownKeys?: ScramKeys | null, known?: PlainSecret | null): boolean {
  const areNew = keys !== null && !knownKeys?.fits(keys.salt, keys.iterations)
  return areNew || (password !== null && password.password !== known?.password)
}

interface Other {
  readonly secret: Secret
  readonly keys: ScramKeys | null
  readonly password: PlainSecret | null
}

/** Limit on `#others`. An entry exists only for users who have logged in successfully. */
const MAX_OTHERS = 10_000

function keyOf(database: string, user: string): string {
  return JSON.stringify([database, user])
}

/** How many users a reload of auth_file has added, removed or changed. */
export interface UserChanges {
  readonly added: number
  readonly removed: number
  readonly changed: number
}

function shapesOf(secrets: ReadonlyMap<string, Secret>): readonly SecretShape[] {
  const shapes = new Map<string, SecretShape[]>()
  for (const secret of secrets.values()) {
    const shape = shapeOf(secret)
    const key = `${shape.kind} ${shape.iterations}`
    const alike = shapes.get(key)
    if (alike) alike.push(alike[0] as SecretShape)
    else shapes.set(key, [shape])
  }
  return [...shapes].sort(([one], [other]) => (one < other ? -1 : 1)).flatMap(([, alike]) => alike)
}

function kindsOf(secrets: ReadonlyMap<string, Secret>): ReadonlySet<Secret['kind']> {
  return new Set([...secrets.values()].map(({ kind }) => kind))
}

/** The content of auth_file. */
export interface UserFileContent {
  readonly secrets: ReadonlyMap<string, Secret>
  /** Identifies this version of the file: see `stampOf`. */
  readonly stamp: string
}

export interface LoadedUsers extends UserFileContent {
  /** Every line of the file was understood. */
  readonly isWhole: boolean
  /** A line that cannot be understood is a warning: it lets nobody in, but the pooler starts. A file that cannot be read is an error. */
  readonly problems: readonly Problem[]
}

/** Reads auth_file. Without auth_file, the only user is the one in `--upstream`, with the password given there. */
export function loadUsers(settings: Settings): LoadedUsers {
  const { general, origins, upstreamLogin } = settings
  const path = general.auth_file
  if (path === '') {
    const secrets = new Map<string, Secret>()
    if (upstreamLogin !== null) secrets.set(upstreamLogin.user, parseSecret(upstreamLogin.password))
    return { secrets, stamp: '', isWhole: true, problems: [] }
  }
  let stamp = ''
  try {
    // Taken before reading: if the file changes during the read, its next stamp differs and it is read again.
    stamp = stampNow(path)
    const { users, problems } = parseUserFile(readSettingsFile(path).toString('utf8'), path)
    return {
      ...{ secrets: users, stamp, isWhole: problems.every(({ severity }) => severity === 'warning') },
      problems: [
        ...problems.map((problem) => ({ ...problem, severity: 'warning' as const })),
        ...keptOut(settings, users),
      ],
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const problems = [error(origins.auth_file, `auth_file cannot be read: ${reason}`)]
    return { secrets: new Map(), stamp, isWhole: false, problems }
  }
}

/**
 * Warns about users that can never log in: SCRAM cannot verify an md5 secret, and the client sees only that the login failed. Users that
 * serve as auth_user are left out, since they need not log in to the pooler.
 */
function keptOut({ general, origins, databases, fallback }: Settings, users: ReadonlyMap<string, Secret>): Problem[] {
  if (general.auth_type !== 'scram-sha-256') return []
  const askers = new Set([
    general.auth_user,
    fallback?.auth_user,
    ...[...databases.values()].map((each) => each.auth_user),
  ])
  const names = [...users].filter(([name, { kind }]) => kind === 'md5' && !askers.has(name)).map(([name]) => name)
  const [first] = names
  if (first === undefined) return []
  const others = names.length === 1 ? '' : ` and ${names.length - 1} more`
  return [
    warning(
      origins.auth_type,
      `user ${quote(first)}${others} in auth_file cannot log in, because auth_type = scram-sha-256 does not accept md5 secrets; auth_type = md5 accepts both kinds`,
    ),
  ]
}

function stampNow(path: string): string {
  try {
    return stampOf(path, statSync(path))
  } catch (cause) {
    keptInstead(path, cause)
    return `${path}: ${(cause as NodeJS.ErrnoException).code}`
  }
}

/** Returns a text that changes whenever the file is written or replaced. */
export function stampOf(path: string, { ino, size, mtimeMs, ctimeMs }: Stats): string {
  return [path, ino, size, mtimeMs, ctimeMs].join(':')
}

/** Opens the users in the process that reads auth_file. Throws `SettingsError` if the file cannot be read. */
export function openUsers(settings: Settings, log: Log): Users {
  const loaded = loadUsers(settings)
  for (const problem of loaded.problems) {
    if (problem.severity === 'error') throw new SettingsError([problem])
    log.warning(formatProblem(problem))
  }
  return new Users(loaded)
}

/** Rebuilds the users in a worker from the texts that the primary has sent: see `Users.texts`. */
export function usersFromTexts(texts: ReadonlyMap<string, string>): UserFileContent {
  return { secrets: new Map([...texts].map(([user, text]) => [user, parseSecret(text)])), stamp: '' }
}
