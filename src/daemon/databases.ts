/** The databases that clients may ask for, and the pools that serve them. */

import type { Clock } from '../base/clock.ts'
import type { Ids } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import type { KeepAlive, Transport } from '../net/channel.ts'
import { Limit } from '../pool/limits.ts'
import { Pool, type PoolTarget } from '../pool/pool.ts'
import type { Pools } from '../pool/pools.ts'
import { Router } from '../routing/router.ts'
import type { Tracked } from '../server/profile.ts'
import { SchemaVersion } from '../server/statements.ts'
import type { DatabaseSettings } from '../settings/databases.ts'
import { databaseFor, type Settings } from '../settings/load.ts'
import { poolSettings } from './pool-settings.ts'
import type { Users } from './users.ts'

export interface DatabasesOptions {
  settings(): Settings
  readonly pools: Pools
  readonly users: Users
  readonly tracked: Tracked
  readonly serverIds: Ids
  readonly transport: Transport
  readonly clock: Clock
  readonly log: Log
  readonly keepAlive: KeepAlive
  /** Tables have changed at a place: host, port and name, as one word. */
  onSchemaChanged(place: string): void
}

/** One database as clients name it, with what all its pools share. */
export interface Database {
  readonly name: string
  readonly forcedUser: string | null
  readonly settings: DatabaseSettings
  readonly servers: Limit
}

export class Databases {
  readonly #options: DatabasesOptions
  readonly #databases = new Map<string, Database>()
  readonly #userServers = new Map<string, Limit>()
  /** By where it really is: entries with different names may lead to one database. */
  readonly #schemas = new Map<string, SchemaVersion>()
  readonly #router: Router

  constructor(options: DatabasesOptions) {
    this.#options = options
    this.#router = new Router(options.pools, (database, user) => this.#createPool(database as Database, user))
    for (const name of options.settings().databases.keys()) this.find(name)
  }

  /** null if there is no such database. */
  find(name: string): Database | null {
    const known = this.#databases.get(name)
    if (known) return known
    const all = this.#options.settings()
    const settings = databaseFor(all, name)
    if (settings === null) return null
    const database: Database = {
      name,
      forcedUser: settings.user,
      settings,
      servers: new Limit('max_db_connections', settings.max_db_connections ?? all.general.max_db_connections),
    }
    this.#databases.set(name, database)
    return database
  }

  [Symbol.iterator](): Iterator<Database> {
    return this.#databases.values()
  }

  /** Users whose servers were counted. */
  get countedUsers(): Iterable<string> {
    return this.#userServers.keys()
  }

  /** How many servers a user has. */
  serversOf(user: string): number {
    return this.#userServers.get(user)?.used ?? 0
  }

  poolFor(database: Database, loginUser: string): Pool {
    return this.#router.poolFor(database, loginUser)
  }

  /** Pools with a forced user are kept filled from the start. */
  openForced(): void {
    for (const database of this.#databases.values())
      if (database.forcedUser !== null) this.poolFor(database, database.forcedUser)
  }

  /** Another process has seen that tables have changed. */
  schemaChangedElsewhere(place: string): void {
    this.#schemas.get(place)?.changedElsewhere()
  }

  #schema(place: string): SchemaVersion {
    return remember(this.#schemas, place, () => new SchemaVersion(() => this.#options.onSchemaChanged(place)))
  }

  #createPool(database: Database, user: string): Pool {
    const { tracked, serverIds, transport, clock, log, keepAlive } = this.#options
    const settings = this.#options.settings()
    const maxUserConnections = settings.users.get(user)?.max_user_connections ?? settings.general.max_user_connections
    return new Pool({
      database: database.name,
      user,
      settings: poolSettings(settings, database.settings, user),
      target: this.#targetOf(database, user),
      keepAlive,
      isForcedUser: database.forcedUser !== null,
      tracked,
      limits: [
        database.servers,
        remember(this.#userServers, user, () => new Limit('max_user_connections', maxUserConnections)),
      ],
      ids: serverIds,
      transport,
      clock,
      log,
      chance: Math.random,
    })
  }

  #targetOf(database: Database, user: string): PoolTarget {
    const { users } = this.#options
    const { host, port, dbname, connect_query } = database.settings
    return {
      address: { host, port },
      identity: {
        user,
        database: dbname,
        parameters: serverParameters(database.settings),
        secret: () => users.serverSecret(user, database.settings.password),
        scramKeys: () => users.scramKeys(user),
      },
      schema: this.#schema(`${host}\0${port}\0${dbname}`),
      connectQuery: connect_query ?? '',
    }
  }
}

function serverParameters(settings: DatabaseSettings): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>()
  for (const name of ['client_encoding', 'datestyle', 'timezone', 'application_name'] as const) {
    const value = settings[name]
    if (value !== null) parameters.set(name, value)
  }
  return parameters
}

function remember<Value>(map: Map<string, Value>, key: string, create: () => Value): Value {
  const known = map.get(key)
  if (known !== undefined) return known
  const value = create()
  map.set(key, value)
  return value
}
