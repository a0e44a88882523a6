/** Which roles a user is a member of, for rules that name roles: PostgreSQL is asked by auth_user, and its answer is good for a while. */

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

/** Whom a rule is about. */
export interface Member {
  readonly database: string
  readonly user: string
}

interface Known {
  readonly roles: ReadonlySet<string>
  readonly foundMs: number
}

/** Strangers may ask for any number of names. */
const MAX_KNOWN = 10_000

/** Whoever has asked must be able to hear the answer, also with auth_query_lifetime = 0. */
const LEAST_LIFETIME_MS = 1_000

/** The user's own role and all that it is a member of, directly or not. That superusers may do everything does not make them members. */
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
   * null if that has to be asked first; where nobody can ask, to ask fails, since the rule might have kept somebody out. Whoever wants a
   * database that there is not is refused in any case.
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

  /** Then `isMember` has an answer, unless there is a problem. */
  ask(member: Member, session: Pick<Host, 'isOpen'>, done: (problem: PoolerError | null) => void): void {
    const { inquiries, settings } = this.#options
    const place = this.#placeOf(member)
    if (!place) {
      done(this.#failed(member, 'there is no database to ask in'))
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

  #understand(member: Member, key: string, rows: readonly Row[]): PoolerError | null {
    const roles = rolesIn(rows)
    if (roles === null) return this.#failed(member, 'the answer is no list of names')
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
    this.#options.log.error(`the roles of ${user} could not be asked for in database ${database}: ${reason}`)
    return new PoolerError('auth-query-failed')
  }
}

/** There are none of a user that PostgreSQL does not know; null where it is not PostgreSQL that answers so. */
function rolesIn([row]: readonly Row[]): readonly string[] | null {
  if (!row?.[0]) return []
  try {
    const roles: unknown = JSON.parse(row[0])
    return Array.isArray(roles) ? roles : null
  } catch {
    return null
  }
}
