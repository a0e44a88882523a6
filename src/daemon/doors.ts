/** Who comes in: limits on clients, how each has to log in, and where it goes then. */

import type { AuthenticationOptions, Proof } from '../client/authentication.ts'
import type { Destination } from '../client/context.ts'
import type { Host } from '../client/host.ts'
import type { Wishes } from '../client/startup-parameters.ts'
import type { Limit } from '../pool/limits.ts'
import type { Pool } from '../pool/pool.ts'
import { PoolerError, type ProblemKind } from '../problems.ts'
import { CONSOLE_NAMES } from '../settings/databases.ts'
import type { Settings } from '../settings/load.ts'
import type { Databases } from './databases.ts'
import type { Users } from './users.ts'

export interface DoorsOptions {
  readonly settings: Settings
  readonly users: Users
  readonly databases: Databases
  readonly saltKey: Buffer
  /** What opens a session on the console, for a user who may; throws for others. */
  openConsole(session: Host, user: string): Destination
}

/** What a session was counted under. */
interface Entry {
  readonly limits: readonly Limit[]
  readonly pool: Pool
}

export class Doors {
  readonly #options: DoorsOptions
  readonly #entries = new Map<Host, Entry>()
  readonly #admitted = new Set<Host>()

  constructor(options: DoorsOptions) {
    this.#options = options
  }

  /** Clients of databases; the console is open even when nobody else fits in. */
  get clients(): number {
    return this.#admitted.size
  }

  admit(session: Host, { database }: Wishes): void {
    if (CONSOLE_NAMES.includes(database)) return
    if (this.#admitted.size >= this.#options.settings.general.max_client_conn) throw new PoolerError('too-many-clients')
    this.#admitted.add(session)
  }

  authentication({ user }: Wishes): AuthenticationOptions {
    const { settings, users, saltKey } = this.#options
    return {
      type: settings.general.auth_type,
      userName: user,
      secret: users.secret(user),
      usualKind: users.usualKind,
      scramIterations: settings.general.scram_iterations,
      saltKey,
    }
  }

  destination(session: Host, wishes: Wishes, proof: Proof): Destination {
    const { databases, users } = this.#options
    users.learn(wishes.user, proof)
    if (CONSOLE_NAMES.includes(wishes.database)) return this.#options.openConsole(session, wishes.user)
    const database = databases.find(wishes.database)
    if (database === null) throw new PoolerError('no-such-database', { database: wishes.database })
    const limits: Limit[] = []
    claim(limits, database.clients, 'too-many-database-clients')
    claim(limits, databases.userClients(wishes.user), 'too-many-user-clients')
    const pool = databases.poolFor(database, wishes.user)
    pool.clients++
    this.#entries.set(session, { limits, pool })
    return { kind: 'pool', pool }
  }

  onGone(session: Host): void {
    this.#admitted.delete(session)
    const entry = this.#entries.get(session)
    if (!entry) return
    this.#entries.delete(session)
    entry.pool.clients--
    for (const limit of entry.limits) limit.release()
  }
}

/** Claims room, or gives back what was claimed before and says why there is none. */
function claim(claimed: Limit[], limit: Limit, problem: ProblemKind): void {
  if (limit.isFull) {
    for (const other of claimed) other.release()
    throw new PoolerError(problem)
  }
  limit.claim()
  claimed.push(limit)
}
