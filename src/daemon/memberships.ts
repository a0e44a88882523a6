/** Which roles a user is a member of, for HBA rules that name roles. Asks PostgreSQL as auth_user and caches the answers. */

import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { Lru } from '../base/lru.ts'
import type { Host } from '../client/host.ts'
import type { Row } from '../pool/lookup.ts'
import { PoolerError } from '../problems.ts'
import { databaseFor, type Settings } from '../settings/load.ts'
import { CONSOLE_NAMES } from '../settings/logging-in.ts'
import { AskedOnce } from './asked-once.ts'
import { askerFor, reasonOf } from './auth-query.ts'
import type { Inquiries } from './inquiries.ts'

export interface MembershipsOptions {
  readonly clock: Clock
  readonly log: Log
  readonly inquiries: Pick<Inquiries, 'ask'>
  settings(): Settings
}

/** The user whose memberships are wanted, and the database that the client asks for. */
export interface Member {
  readonly database: string
  readonly user: string
}

interface Known {
  readonly roles: ReadonlySet<string>
  readonly foundMs: number
}

/** Limit on the cache, since unauthenticated clients may ask for any number of names. */
const MAX_KNOWN = 10_000

/** Even with auth_query_lifetime = 0, an answer must live until `isMember` has read it. */
const LEAST_LIFETIME_MS = 1_000

/** The user's own role and all roles that it is a member of, directly or indirectly. Being a superuser does not count as membership. */
const QUERY = `WITH RECURSIVE mine(oid) AS (
  SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1
  UNION SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN mine ON m.member = mine.oid
) SELECT pg_catalog.json_agg(rolname)::text FROM pg_catalog.pg_roles JOIN mine USING (oid)`

export class Memberships {
  readonly #options: MembershipsOptions
  readonly #known = new Lru<string, Known>(MAX_KNOWN)
  readonly #asked = new AskedOnce<PoolerError | null>()

  constructor(options: MembershipsOptions) {
    this.#options = options
  }

  /**
   * Whether the user is a member of `role`. Returns null if `ask` has to be called first. Also returns null if there is no auth_user to ask
   * with: `ask` then fails and the login is refused, because the rule might have rejected the client. Returns false for a database that does
   * not exist, since the client is refused in any case.
   */
  isMember(member: Member, role: string): boolean | null {
    const place = this.#placeOf(member)
    if (place === null) return this.#isThere(member.database) ? null : false
    const { clock, settings } = this.#options
    const known = this.#known.get(place.key)
    const lifetimeMs = Math.max(settings().general.auth_query_lifetime, LEAST_LIFETIME_MS)
    if (known === undefined || clock.nowMs - known.foundMs >= lifetimeMs) return null
    return known.roles.has(role)
  }

  /** Asks PostgreSQL. When `done` is called without a problem, `isMember` has an answer. */
  ask(member: Member, session: Pick<Host, 'isOpen'>, done: (problem: PoolerError | null) => void): void {
    const { inquiries, settings } = this.#options
    const place = this.#placeOf(member)
    if (!place) {
      done(this.#failed(member, 'there is no database in which to look them up'))
      return
    }
    const { key, asker, database } = place
    const { client_login_timeout: timeoutMs } = settings().general
    this.#asked.ask(key, { session, done }, ({ tell, isWanted, onUnwanted }) =>
      inquiries.ask(
        { database, asker, query: QUERY, user: member.user, timeoutMs },
        {
          isWanted,
          onUnwanted,
          onFound: (rows) => tell(this.#understand(member, key, rows)),
          onFailed: (problem) => tell(this.#failed(member, reasonOf(problem))),
        },
      ),
    )
  }

  /** Called when a client has left, whether it was being looked up or not. */
  left(session: Pick<Host, 'isOpen'>): void {
    this.#asked.left(session)
  }

  #understand(member: Member, key: string, rows: readonly Row[]): PoolerError | null {
    const roles = rolesIn(rows)
    if (roles === null) return this.#failed(member, 'the answer is not a list of names')
    this.#known.set(key, { roles: new Set(roles), foundMs: this.#options.clock.nowMs })
    return null
  }

  #isThere(database: string): boolean {
    return CONSOLE_NAMES.includes(database) || databaseFor(this.#options.settings(), database) !== null
  }

  #placeOf({ database: name, user }: Member) {
    const found = askerFor(this.#options.settings(), name)
    if (found === null) return null
    const { asker, database } = found
    return { asker, database, key: JSON.stringify([database, asker, user]) }
  }

  #failed({ database, user }: Member, reason: string): PoolerError {
    this.#options.log.error(`the roles of user ${user} could not be looked up in database ${database}: ${reason}`)
    return new PoolerError('auth-query-failed')
  }
}

/** The roles in the answer; none for a user that PostgreSQL does not know. Returns null if the answer is not what PostgreSQL would send. */
function rolesIn([row]: readonly Row[]): readonly string[] | null {
  if (!row?.[0]) return []
  try {
    const roles: unknown = JSON.parse(row[0])
    return Array.isArray(roles) ? roles : null
  } catch {
    return null
  }
}
