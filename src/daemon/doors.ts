/** Lets clients in: checks the limits on clients, decides how each client has to log in, and gives it a pool or the console. */

import { endPointHash } from '../auth/channel-binding.ts'
import { mockShape, type Secret } from '../auth/secrets.ts'
import { Lru } from '../base/lru.ts'
import type { AuthenticationOptions, Proof } from '../client/authentication.ts'
import type { Destination } from '../client/context.ts'
import type { Host } from '../client/host.ts'
import type { Wishes } from '../client/startup-parameters.ts'
import type { Address } from '../net/channel.ts'
import type { Directory } from '../net/directory.ts'
import type { PamHelpers } from '../net/pam-helpers.ts'
import { isPath } from '../net/unix-sockets.ts'
import type { Pool } from '../pool/pool.ts'
import { PoolerError, type ProblemKind } from '../problems.ts'
import { BirthSettings } from '../server/birth.ts'
import { databaseFor, type Settings } from '../settings/load.ts'
import { CONSOLE_NAMES } from '../settings/logging-in.ts'
import type { Notice } from '../wire/notices.ts'
import type { Admissions, ClientClaim, ClientLimit } from '../workers/admissions.ts'
import { placeOf } from '../workers/failed-logins.ts'
import { type AuthQueries, askerFor, hasAsker, isNobodys, type Question } from './auth-query.ts'
import type { Database } from './database.ts'
import type { Databases } from './databases.ts'
import type { LoginMethod, LoginRules } from './login-rules.ts'
import type { Users } from './users.ts'

export interface DoorsOptions {
  settings(): Settings
  readonly users: Users
  readonly rules: LoginRules
  readonly directory: Pick<Directory, 'isRight'>
  readonly pamHelpers: Pick<PamHelpers, 'isRight'>
  readonly authQueries: AuthQueries
  readonly databases: Databases
  readonly admissions: Admissions
  readonly saltKey: Buffer
  /** The error for clients that can get no server because the pooler is ending; null while servers are given out. */
  lastWord(): PoolerError | null
  /** The error for clients from `peer` because the pooler is ending; null while they are let in. It does not apply to console clients. */
  refusalOf(peer: Address): PoolerError | null
  /** Opens the console for `user`; throws if the user may not use it. The owner may run every command. */
  openConsole(user: string, isOwner: boolean): Destination
}

interface LookedUp {
  readonly question: Question
  readonly user: string
  readonly secret: Secret
}

/** What a session has taken and gives back when it ends: its places under the limits on clients, and its pool. */
interface Entry {
  readonly claims: readonly ClientClaim[]
  pool: Pool | null
}

/** How many lists of claims to remember, so that all sessions of one database and user share one list. */
const KNOWN_CLAIMS = 1_000

export class Doors {
  readonly #options: DoorsOptions
  /** The entries of sessions that were let in; null for a session whose claim has not been answered yet. */
  readonly #entries = new Map<Host, Entry | null>()
  readonly #consoles = new Set<Host>()
  /** What auth_query has returned for sessions that are still logging in. */
  readonly #lookedUp = new Map<Host, LookedUp>()
  readonly #birthSettings = new BirthSettings()
  readonly #claims = new Lru<string, readonly ClientClaim[]>(KNOWN_CLAIMS)

  constructor(options: DoorsOptions) {
    this.#options = options
  }

  /**
   * Refuses a client when max_client_conn is reached; the console stays open. The client is not counted here but in `destination`, once it
   * has logged in, so that unauthenticated clients take up no places.
   */
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
    const isAsked = secret === null && !WITHOUT_LOOKUP.includes(method.type)
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

  /** The auth_query for a user that is not in auth_file; null if there is none, or if this user is the one that runs it. */
  #questionOf({ user, database: name }: Wishes): Question | null {
    const settings = this.#options.settings()
    const found = askerFor(settings, name)
    if (found === null || found.asker === user) return null
    const { asker, database, own } = found
    return { database, asker, query: own?.auth_query ?? settings.general.auth_query }
  }

  /**
   * Whether a login for which no auth_query runs must look as if one did. Otherwise a client could tell from its login that the database
   * does not exist, or that this is the user who runs auth_query.
   */
  #seemsAsked({ database }: Wishes): boolean {
    const settings = this.#options.settings()
    if (askerFor(settings, database) !== null) return true
    return hasAsker(settings) && !CONSOLE_NAMES.includes(database) && databaseFor(settings, database) === null
  }

  #howToProve(
    session: Host,
    method: LoginMethod,
    { user }: Wishes,
    known: Secret | null,
    isAsked: boolean,
  ): AuthenticationOptions {
    const { type } = method
    const { settings, users, authQueries, saltKey } = this.#options
    const { general } = settings()
    const { channel } = session
    // Ask a user without a password in Postgres as if the user did not exist, so that a client cannot tell the two apart.
    const isLikeNone = isAsked && !WITHOUT_PASSWORD.includes(type) && known !== null && isNobodys(known)
    return {
      type,
      userName: user,
      secret: isLikeNone ? null : known,
      elsewhere: this.#elsewhere(session, method, user),
      mock: () => (isAsked ? authQueries.usualShape : mockShape(user, saltKey, users.shapes)),
      kinds: isAsked ? new Set([...users.kinds, ...authQueries.kinds]) : users.kinds,
      scramIterations: general.scram_iterations,
      saltKey,
      binding: channel.serverCertificate && endPointHash(channel.serverCertificate),
    }
  }

  /** Who is asked whether a password is right, with the types ldap and pam; null for the other types. */
  #elsewhere(session: Host, { ldap, pam }: LoginMethod, user: string): AuthenticationOptions['elsewhere'] {
    const { directory, pamHelpers } = this.#options
    const { peer } = session.channel
    const place = placeOf(peer)
    const isWanted = () => session.isOpen
    if (ldap !== null) return (password) => directory.isRight(ldap, user, password, place, isWanted)
    if (pam === null) return null
    const host = isPath(peer.host) ? '' : peer.host
    return (password) => pamHelpers.isRight({ service: pam, user, password, host }, place, isWanted)
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
    // With LDAP and PAM, users log in that are in neither auth_file nor auth_query; servers get the password that the client gave.
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
      // A reload may have removed the database while the primary was answering the claim.
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

  /**
   * If Postgres has refused a client's setting because it can only be given when a connection begins, moves the session to the pool whose
   * servers are opened with that setting, and returns that pool. Returns null if the refusal had another reason.
   */
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

  /** How many sessions are on the console. */
  get consoles(): number {
    return this.#consoles.size
  }

  /** Called when a login has failed. The user's secret may have changed, so the next login asks auth_query again. */
  onUnproved(session: Host): void {
    const found = this.#lookedUp.get(session)
    if (found) this.#options.authQueries.forget(found.question, found.user)
  }

  onGone(session: Host): void {
    const { rules, authQueries } = this.#options
    rules.left(session)
    authQueries.left(session)
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
        // The session has ended while the primary was answering.
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

/** Types of login for which Postgres is not asked by auth_query: no secret is needed, or only others know it. */
const WITHOUT_LOOKUP: readonly AuthenticationOptions['type'][] = ['any', 'ldap', 'pam']
/** Types of login that need no password in Postgres; most users that log in by certificate or by peer have none there. */
const WITHOUT_PASSWORD: readonly AuthenticationOptions['type'][] = ['trust', 'cert', 'peer']

/**
 * A client on the unix socket that runs under the same system user as the pooler may open the console as this user without a password: the
 * kernel reports the client's uid.
 */
const OWNER_NAME = 'pgbouncer'

function isOwner({ channel }: Host, wishes: Wishes): boolean {
  if (!isOwnersName(wishes)) return false
  // On systems without uids nobody is the owner.
  const uid = process.getuid?.()
  return uid !== undefined && channel.peer.process?.uid === uid
}

/** The client may be the owner, but the system cannot report its uid. */
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
