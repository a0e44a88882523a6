/** Who comes in: limits on clients, how each has to log in, and where it goes then. */

import { endPointHash } from '../auth/channel-binding.ts'
import { mockShape, type Secret } from '../auth/secrets.ts'
import { Lru } from '../base/lru.ts'
import type { AuthenticationOptions, Proof } from '../client/authentication.ts'
import type { Destination } from '../client/context.ts'
import type { Host } from '../client/host.ts'
import type { Wishes } from '../client/startup-parameters.ts'
import type { Address } from '../net/channel.ts'
import type { Directory } from '../net/directory.ts'
import { isPath } from '../net/unix-sockets.ts'
import type { Pool } from '../pool/pool.ts'
import { PoolerError, type ProblemKind } from '../problems.ts'
import { BirthSettings } from '../server/birth.ts'
import { databaseFor, type Settings } from '../settings/load.ts'
import { CONSOLE_NAMES } from '../settings/logging-in.ts'
import type { Notice } from '../wire/notices.ts'
import type { Admissions, ClientClaim, ClientLimit } from '../workers/admissions.ts'
import { type AuthQueries, askerFor, hasAsker, isNobodys, type Question } from './auth-query.ts'
import type { Database, Databases } from './databases.ts'
import type { LoginMethod, LoginRules } from './login-rules.ts'
import type { Users } from './users.ts'

export interface DoorsOptions {
  settings(): Settings
  readonly users: Users
  readonly rules: LoginRules
  readonly directory: Pick<Directory, 'isRight'>
  readonly authQueries: AuthQueries
  readonly databases: Databases
  readonly admissions: Admissions
  readonly saltKey: Buffer
  /** Why no client is given a server any more; null while they are. */
  lastWord(): PoolerError | null
  /** Why nobody but the console is let in from there any more. */
  refusalOf(peer: Address): PoolerError | null
  /** What opens a session on the console, for a user who may; throws for others. The owner may do anything. */
  openConsole(user: string, isOwner: boolean): Destination
}

interface LookedUp {
  readonly question: Question
  readonly user: string
  readonly secret: Secret
}

/** What a session is counted under. */
interface Entry {
  readonly claims: readonly ClientClaim[]
  pool: Pool | null
}

/** How many lists of claims are remembered, so that sessions of one database and user have the same one. */
const KNOWN_CLAIMS = 1_000

export class Doors {
  readonly #options: DoorsOptions
  /** Sessions that were let in, and those that wait for it: null. */
  readonly #entries = new Map<Host, Entry | null>()
  readonly #consoles = new Set<Host>()
  /** What was found in Postgres about users who have not proved yet that they are who they say. */
  readonly #lookedUp = new Map<Host, LookedUp>()
  readonly #birthSettings = new BirthSettings()
  readonly #claims = new Lru<string, readonly ClientClaim[]>(KNOWN_CLAIMS)

  constructor(options: DoorsOptions) {
    this.#options = options
  }

  /** The console is open even when nobody else fits in. Strangers take nobody's place: a client is counted once it has proved who it is. */
  admit(session: Host, { database }: Wishes, done: (problem: PoolerError | null) => void): void {
    const { admissions, refusalOf } = this.#options
    const refusal = CONSOLE_NAMES.includes(database) ? null : refusalOf(session.channel.peer)
    if (refusal !== null || CONSOLE_NAMES.includes(database)) done(refusal)
    else
      admissions.look(ANYBODY, (full) => {
        if (session.isOpen) done(problemOf(full))
      })
  }

  authentication(session: Host, wishes: Wishes, done: (how: AuthenticationOptions | PoolerError) => void): void {
    const { rules, users } = this.#options
    if (users.secret(wishes.user) === null && mayBeOwner(session, wishes)) {
      done(new PoolerError('owner-unknown'))
      return
    }
    rules.methodFor(session, wishes, isOwner(session, wishes), (method) => {
      if (!session.isOpen) return
      if (method instanceof PoolerError) done(method)
      else this.#lookUp(session, wishes, method, done)
    })
  }

  #lookUp(
    session: Host,
    wishes: Wishes,
    method: LoginMethod,
    done: (how: AuthenticationOptions | PoolerError) => void,
  ): void {
    const { authQueries, users } = this.#options
    const { user } = wishes
    const secret = users.secret(user)
    const isAsked = secret === null && method.type !== 'any' && method.type !== 'ldap'
    const question = isAsked ? this.#questionOf(wishes) : null
    if (question === null) done(this.#howToProve(session, method, wishes, secret, isAsked && this.#seemsAsked(wishes)))
    else
      authQueries.find(question, user, session, (answer) => {
        if (!session.isOpen) return
        if (answer instanceof PoolerError) {
          done(answer)
          return
        }
        if (answer !== null) this.#lookedUp.set(session, { question, user, secret: answer })
        done(this.#howToProve(session, method, wishes, answer, true))
      })
  }

  /** What is asked in Postgres about a user that is not in auth_file; null if nothing. */
  #questionOf({ user, database: name }: Wishes): Question | null {
    const settings = this.#options.settings()
    const found = askerFor(settings, name)
    if (found === null || found.asker === user) return null
    const { asker, database, own } = found
    return { database, asker, query: own?.auth_query ?? settings.general.auth_query }
  }

  /** Nobody is asked: a stranger must not see by this that there is no such database, or that this is the user who would ask. */
  #seemsAsked({ database }: Wishes): boolean {
    const settings = this.#options.settings()
    if (askerFor(settings, database) !== null) return true
    return hasAsker(settings) && !CONSOLE_NAMES.includes(database) && databaseFor(settings, database) === null
  }

  #howToProve(
    session: Host,
    { type, ldap }: LoginMethod,
    { user }: Wishes,
    known: Secret | null,
    isAsked: boolean,
  ): AuthenticationOptions {
    const { settings, users, authQueries, saltKey, directory } = this.#options
    const { general } = settings()
    const { channel } = session
    // Who has no password is asked for one as somebody who does not exist.
    const isLikeNone = isAsked && !WITHOUT_PASSWORD.includes(type) && known !== null && isNobodys(known)
    return {
      type,
      userName: user,
      secret: isLikeNone ? null : known,
      directory: ldap && ((password) => directory.isRight(ldap, user, password, () => session.isOpen)),
      mock: isAsked ? authQueries.usualShape : mockShape(user, saltKey, users.shapes),
      kinds: isAsked ? new Set([...users.kinds, ...authQueries.kinds]) : users.kinds,
      scramIterations: general.scram_iterations,
      saltKey,
      binding: channel.serverCertificate && endPointHash(channel.serverCertificate),
    }
  }

  destination(
    session: Host,
    wishes: Wishes,
    proof: Proof,
    done: (destination: Destination | PoolerError) => void,
  ): void {
    const { databases, users } = this.#options
    let hasLearned = users.learn(wishes.user, proof)
    const found = this.#lookedUp.get(session)
    this.#lookedUp.delete(session)
    // A directory knows of users that auth_file does not.
    const secret = found?.secret ?? (users.secret(wishes.user) === null ? proof.password : null)
    if (secret) hasLearned = users.learnOther(wishes.database, wishes.user, secret, proof)
    if (CONSOLE_NAMES.includes(wishes.database)) {
      const isOwnConsole = isOwner(session, wishes)
      const destination = this.#options.openConsole(wishes.user, isOwnConsole)
      this.#consoles.add(session)
      done(destination)
      return
    }
    const { user, database: name } = wishes
    const isNamed = wishes.replication !== 'physical'
    const noSuchDatabase = () =>
      new PoolerError(isNamed ? 'no-such-database' : 'replication-without-database', { database: name })
    if (databases.find(name) === null) throw noSuchDatabase()
    this.#claim(session, this.#claimsOf(name, user), (problem) => {
      const entry = this.#entries.get(session)
      // It may have been removed while others were asked.
      const database = databases.find(name)
      const refusal = problem ?? this.#options.lastWord() ?? (database && refusalOf(database))
      if (refusal !== null) done(refusal)
      else if (!entry) done(new PoolerError('internal-error'))
      else if (database === null) done(noSuchDatabase())
      else {
        const { replication, forwarded, settings } = wishes
        const pool =
          replication === 'none'
            ? databases.poolFor(database, user, this.#birthSettings.of(settings))
            : databases.openOwnPool(database, user, replication, forwarded)
        database.isEstablished = true
        pool.clients++
        entry.pool = pool
        if (hasLearned) pool.tryAgain()
        done({ kind: 'pool', pool })
      }
    })
  }

  /** If Postgres has refused a setting only because the server was open: the pool whose servers are opened with it. */
  otherDestination(session: Host, wishes: Wishes, refusal: Notice): Pool | null {
    const { databases } = this.#options
    const entry = this.#entries.get(session)
    const name = this.#birthSettings.learn(refusal, wishes.settings)
    if (!entry?.pool || name === null || entry.pool.birth.has(name)) return null
    const database = databases.find(entry.pool.database)
    if (database === null) return null
    entry.pool.clients--
    entry.pool = databases.poolFor(database, wishes.user, this.#birthSettings.of(wishes.settings))
    entry.pool.clients++
    return entry.pool
  }

  /** Sessions on the console. */
  get consoles(): number {
    return this.#consoles.size
  }

  /** The secret may be another one by now. */
  onUnproved(session: Host): void {
    const found = this.#lookedUp.get(session)
    if (found) this.#options.authQueries.forget(found.question, found.user)
  }

  onGone(session: Host): void {
    this.#consoles.delete(session)
    this.#lookedUp.delete(session)
    const entry = this.#entries.get(session)
    this.#entries.delete(session)
    if (!entry) return
    if (entry.pool) entry.pool.clients--
    if (entry.pool?.isOfOneClient) this.#options.databases.closeOwnPool(entry.pool)
    this.#options.admissions.release(entry.claims)
  }

  #claimsOf(database: string, user: string): readonly ClientClaim[] {
    const key = JSON.stringify([database, user])
    const known = this.#claims.get(key)
    if (known) return known
    const claims: readonly ClientClaim[] = [
      ...ANYBODY,
      { limit: 'max_db_client_connections', name: database },
      { limit: 'max_user_client_connections', name: user },
    ]
    this.#claims.set(key, claims)
    return claims
  }

  #claim(session: Host, claims: readonly ClientClaim[], done: (problem: PoolerError | null) => void): void {
    const { admissions } = this.#options
    this.#entries.set(session, null)
    admissions.claim(claims, (full) => {
      if (!session.isOpen || !this.#entries.has(session)) {
        // It has ended while others were asked.
        if (full === null) admissions.release(claims)
        return
      }
      if (full === null) this.#entries.set(session, { claims, pool: null })
      done(problemOf(full))
    })
  }
}

function problemOf(full: ClientClaim | null): PoolerError | null {
  return full && new PoolerError(FULL[full.limit])
}

/** Most users who come by a certificate, or are known to the kernel, have no password in Postgres, and need none. */
const WITHOUT_PASSWORD: readonly AuthenticationOptions['type'][] = ['trust', 'cert', 'peer']

/** Whoever runs the pooler comes to the console as this user, over the unix socket, and needs no password: the kernel says who it is. */
const OWNER_NAME = 'pgbouncer'

function isOwner({ channel }: Host, wishes: Wishes): boolean {
  // Where there are no such ids nobody has the same.
  const uid = process.getuid?.()
  return uid !== undefined && isOwnersName(wishes) && channel.peer.process?.uid === uid
}

/** The system cannot be asked. */
function mayBeOwner({ channel }: Host, wishes: Wishes): boolean {
  return isOwnersName(wishes) && isPath(channel.peer.host) && channel.peer.process === undefined
}

function isOwnersName({ user, database }: Wishes): boolean {
  return user === OWNER_NAME && CONSOLE_NAMES.includes(database)
}

function refusalOf({ name, isDisabled }: Database): PoolerError | null {
  return isDisabled ? new PoolerError('database-disabled', { database: name }) : null
}

const ANYBODY: readonly ClientClaim[] = [{ limit: 'max_client_conn', name: '' }]

const FULL: Readonly<Record<ClientLimit, ProblemKind>> = {
  max_client_conn: 'too-many-clients',
  max_db_client_connections: 'too-many-database-clients',
  max_user_client_connections: 'too-many-user-clients',
}
