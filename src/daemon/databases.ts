/** The databases that clients may ask for, and the pools that serve them. */

import type { Clock } from '../base/clock.ts'
import type { Ids } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import type { KeepAlive, Transport } from '../net/channel.ts'
import type { Permits } from '../pool/permits/holder.ts'
import { Pool } from '../pool/pool.ts'
import type { Pools } from '../pool/pools.ts'
import type { PoolSettings } from '../pool/settings.ts'
import type { ShareHolder } from '../pool/share.ts'
import { PoolerError } from '../problems.ts'
import { Router } from '../routing/router.ts'
import { type Birth, NO_BIRTH } from '../server/birth.ts'
import type { Tracked } from '../server/profile.ts'
import type { Server } from '../server/server.ts'
import { SERVER_STATES } from '../server/states.ts'
import { databaseChange } from '../settings/changes.ts'
import type { DatabaseSettings } from '../settings/databases.ts'
import { databaseFor, removedDatabases, type Settings } from '../settings/load.ts'
import type { Notice } from '../wire/notices.ts'
import type { Replication } from '../wire/replication.ts'
import type { Welcomed } from '../workers/messages.ts'
import { Database } from './database.ts'
import { poolSettings, replicationSettings } from './pool-settings.ts'
import { Schemas, type TellOthersOf } from './schemas.ts'
import { type TargetParts, Targets } from './targets.ts'
import type { Welcomes } from './welcomes.ts'

export interface DatabasesOptions extends TargetParts {
  readonly pools: Pools
  readonly tracked: Tracked
  readonly welcomes: Welcomes
  readonly serverIds: Ids
  /** Where round robin over several hosts begins. Each process of a fleet has its own number, so that they begin with different hosts. */
  readonly firstTurn: number
  readonly transport: Transport
  readonly clock: Clock
  readonly log: Log
  readonly keepAlive: KeepAlive
  /**
   * Tells the other processes that tables have changed at a place (hosts, port and database name in one string). Null if no other process
   * serves the databases.
   */
  readonly onSchemaChanged: TellOthersOf | null
  /** A server connection is open but has not logged in yet; `begin` starts the login. */
  onServerConnected(server: Server, permits: Permits, begin: () => void): void
  onServerClosed(server: Server): void
  onServerOpened(server: Server): void
  /** Ends all sessions of these pools with `notice`. */
  endClients(pools: ReadonlySet<Pool>, notice: Notice): void
  /** Whether SUSPEND is in effect: nothing is read from clients or servers. */
  isSuspended(): boolean
  /** Called during SUSPEND when a server has taken all bytes that were written to it. */
  onTaken(): void
  /** Returns the permits under which the pool of `database` and `user` may open servers. */
  openPermits(database: string, user: string, holder: ShareHolder): Permits
}

export class Databases {
  readonly #options: DatabasesOptions
  readonly #databases = new Map<string, Database>()
  readonly #schemas: Schemas
  readonly #targets: Targets
  readonly #router: Router
  /** As last applied. */
  #settings: Settings
  #isPaused = false

  constructor(options: DatabasesOptions) {
    this.#options = options
    this.#settings = options.settings()
    this.#schemas = new Schemas(options.onSchemaChanged)
    this.#targets = new Targets(options, this.#schemas)
    this.#router = new Router(options.pools, (database, user, birth) =>
      this.#createPool(database as Database, user, birth, 'none'),
    )
    for (const name of options.settings().databases.keys()) this.find(name)
  }

  /** Returns null if there is no such database. Creates the entry of a database that matches `*`. */
  find(name: string): Database | null {
    const known = this.#databases.get(name)
    if (known) return known
    const all = this.#options.settings()
    const settings = databaseFor(all, name)
    if (settings === null) return null
    const isEstablished = all.databases.has(name)
    if (!isEstablished) this.#options.log.info(`registered new auto-database: ${name}`, { database: name })
    const database = new Database(name, {
      ...{ settings, isEstablished, turn: this.#options.firstTurn, nowMs: this.#options.clock.nowMs },
      fingerprint: this.#targets.fingerprintOf(settings),
    })
    this.#databases.set(name, database)
    return database
  }

  /** The pools of one database; with null, all pools. */
  pools(database: Database | null): Pool[] {
    return [...this.#options.pools].filter((pool) => database === null || pool.database === database.name)
  }

  [Symbol.iterator](): Iterator<Database> {
    return this.#databases.values()
  }

  /** At least one database was paused by name. */
  get areSomePaused(): boolean {
    return [...this.#databases.values()].some(({ isPaused }) => isPaused)
  }

  /** A PAUSE without a name is in effect. */
  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Every database was paused by name. */
  get areAllPaused(): boolean {
    for (const { isPaused } of this.#databases.values()) if (!isPaused) return false
    return this.#databases.size > 0
  }

  /** With null, sets the pause of all databases. A pool is paused as long as its database or all databases are paused. */
  setPaused(database: Database | null, isPaused: boolean): void {
    if (database === null) this.#isPaused = isPaused
    else database.isPaused = isPaused
    for (const pool of this.pools(database)) this.#pauseOrResume(pool)
  }

  /** Pauses one database, or all, and drops the clients. */
  kill(database: Database | null): void {
    const { endClients } = this.#options
    const notice = new PoolerError('database-removed')
    // First, because pausing closes replication streams, and their clients would receive the notice about the pause instead of this one.
    endClients(new Set(this.pools(database).filter(({ isOfOneClient }) => isOfOneClient)), notice)
    this.setPaused(database, true)
    endClients(new Set(this.pools(database)), notice)
  }

  #pauseOrResume(pool: Pool): void {
    if (this.#isPaused || this.#databases.get(pool.database)?.isPaused) pool.pause()
    else pool.resume()
  }

  /** @param birth what the servers must be opened with */
  poolFor(database: Database, loginUser: string, birth = NO_BIRTH): Pool {
    return this.#router.poolFor(database, loginUser, birth)
  }

  /** Opens the pool of one replication client. `closeOwnPool` closes it when that client has gone. */
  openOwnPool(database: Database, loginUser: string, replication: Replication, birth: Birth): Pool {
    const pool = this.#createPool(database, database.forcedUser ?? loginUser, birth, replication)
    this.#options.pools.add(pool)
    return pool
  }

  /** Called when the client of a pool of `openOwnPool` has gone. */
  closeOwnPool(pool: Pool): void {
    this.#poolGoes(pool)
    this.#schemas.left(pool)
    pool.retire(new PoolerError('replication-over'))
  }

  /** See `Database.isEstablished`. */
  isEstablished(name: string): boolean {
    return this.#options.settings().databases.has(name) || (this.#databases.get(name)?.isEstablished ?? false)
  }

  /** The pool for the pooler's own queries. It logs in as `user` even if the database has a forced user. Null if there is no such database. */
  poolForLookups(name: string, user: string): Pool | null {
    const database = this.find(name)
    return database && this.#router.poolAs(database, user, NO_BIRTH)
  }

  /** Applies changed settings to every database and pool. Clients of a database that no longer exists are disconnected with a notice. */
  refresh(): void {
    const all = this.#options.settings()
    const before = this.#settings
    this.#settings = all
    const removed = removedDatabases(before, all)
    const pools = this.#poolsByDatabase()
    const lost = new Set<Pool>()
    for (const database of [...this.#databases.values()]) {
      const settings = removed.has(database.name) ? null : databaseFor(all, database.name)
      const own = pools.get(database.name) ?? []
      if (settings !== null) this.#change(database, own, this.#keepingForcedUser(database, settings))
      else {
        this.#databases.delete(database.name)
        this.#options.pools.forgetPast(database.name)
        for (const pool of own) lost.add(pool)
      }
    }
    if (lost.size > 0) this.#giveUp(lost)
    for (const name of all.databases.keys()) this.find(name)
    if (isForAnybody(before) !== isForAnybody(all)) this.#renewAnybodys()
    this.openForced()
  }

  #change(database: Database, pools: readonly Pool[], settings: DatabaseSettings): void {
    const change = databaseChange(database.settings, settings)
    const before = database.forcedUser
    const fingerprint = this.#targets.fingerprintOf(settings)
    const isOtherTls = fingerprint !== database.fingerprint
    database.fingerprint = fingerprint
    database.settings = settings
    for (const pool of pools) {
      // The pool of a replication client that has left: its server is being closed and no other is opened.
      if (pool.state === 'retiring' || pool.state === 'gone') continue
      if (change?.renewsServers) this.#retarget(database, pool, before)
      else if (isOtherTls) pool.renew('TLS configuration changed')
      pool.reconfigure(this.#poolSettings(settings, pool.user, pool.options.replication))
    }
  }

  /** A pool of the former forced user becomes a pool of the new one. A pool of a user that clients named themselves keeps that user. */
  #retarget(database: Database, pool: Pool, forcedBefore: string | null): void {
    const { user } = pool
    const next = user === forcedBefore ? (database.forcedUser ?? user) : user
    pool.retarget(
      this.#targets.next(database, next, pool.birth, pool.options.replication),
      'database configuration changed',
    )
    this.#schemas.moved(pool, this.#targets.placeOf(database.settings))
    if (next !== user) this.#options.pools.rename(pool, user)
  }

  /**
   * Called when auth_type has become `any` or is no longer `any`. In the first case open servers may have logged in with a secret, so they are
   * replaced; in the second, logins that failed because no secret could be used may succeed now.
   */
  #renewAnybodys(): void {
    for (const pool of this.#options.pools) {
      const database = this.#databases.get(pool.database)
      if (!isForAnybody(this.#settings)) pool.tryAgain()
      else if (database && this.#targets.isAnybodys(database, pool.user) && !pool.isOfOneClient)
        pool.renew('auth_type is any')
    }
  }

  /** As in PgBouncer, with its log message: a database cannot lose its forced user, because its clients share servers already. */
  #keepingForcedUser({ settings: before }: Database, settings: DatabaseSettings): DatabaseSettings {
    if (before.user === null || settings.user !== null) return settings
    this.#options.log.warning(`database "${settings.name}": losing forced user not supported, keeping old setting`)
    return { ...settings, user: before.user, password: before.password }
  }

  /** Removes the pools of databases that no longer exist and ends their clients. */
  #giveUp(pools: ReadonlySet<Pool>): void {
    const notice = new PoolerError('database-removed')
    for (const pool of pools) this.#options.pools.giveUp(pool)
    this.#options.endClients(pools, notice)
    for (const pool of pools) {
      pool.retire(notice)
      this.#schemas.left(pool)
    }
  }

  #poolsByDatabase(): Map<string, Pool[]> {
    const pools = new Map<string, Pool[]>()
    for (const pool of this.#options.pools) remember(pools, pool.database, () => []).push(pool)
    return pools
  }

  /** Creates the pools of forced users, so that they are filled to their minimum before a client arrives. */
  openForced(): void {
    for (const database of this.#databases.values())
      if (database.forcedUser !== null) this.poolFor(database, database.forcedUser)
  }

  /** See `Names`. */
  hostMoved(host: string, addresses: ReadonlySet<string>): void {
    for (const pool of this.#options.pools) pool.hostMoved(host, addresses)
  }

  /** The hosts that currently have servers. */
  hostsInUse(): ReadonlySet<string> {
    const hosts = new Set<string>()
    for (const pool of this.#options.pools)
      for (const state of SERVER_STATES) for (const { address } of pool.servers(state)) hosts.add(address.host)
    return hosts
  }

  /** Called when another process has seen tables change at this place. */
  schemaChangedElsewhere(place: string): void {
    this.#schemas.changedElsewhere(place)
  }

  /** Forgets unused pools and databases. Unauthenticated clients choose the names, so the maps would otherwise grow without limit. */
  sweep(): void {
    const { pools, settings, clock } = this.#options
    for (const pool of pools) if (pool.isForgettable && !this.#isKept(pool)) this.#forget(pool)
    const { databases: configured, general } = settings()
    for (const [name, database] of this.#databases) {
      if (configured.has(name) || pools.hasAny(name)) continue
      if (!database.isForgettable(general.autodb_idle_timeout, clock.nowMs)) continue
      this.#databases.delete(name)
      pools.forgetPast(name)
    }
  }

  /** The pool of a forced user stays, because it is kept filled even without clients. */
  #isKept(pool: Pool): boolean {
    const { settings, pools } = this.#options
    const forcedUser = this.#databases.get(pool.database)?.forcedUser ?? null
    return (
      settings().databases.has(pool.database) && forcedUser !== null && pools.find(pool.database, forcedUser) === pool
    )
  }

  #forget(pool: Pool): void {
    this.#poolGoes(pool)
    this.#options.pools.forget(pool)
    this.#schemas.left(pool)
  }

  #poolGoes(pool: Pool): void {
    this.#databases.get(pool.database)?.poolGone(pool.welcome !== null, pool.unusedSinceMs ?? this.#options.clock.nowMs)
  }

  /** Called when a server has logged in to another process and has reported its parameters. */
  welcomedElsewhere(welcomed: Welcomed): void {
    this.#options.welcomes.learnedElsewhere(welcomed)
    for (const pool of this.#options.pools) pool.welcomeKnown()
  }

  #poolSettings(settings: DatabaseSettings, user: string, replication: Replication): PoolSettings {
    const usual = poolSettings(this.#options.settings(), settings, user)
    return replication === 'none' ? usual : replicationSettings(usual)
  }

  #createPool(database: Database, user: string, birth: Birth, replication: Replication): Pool {
    const { tracked, serverIds, transport, clock, log, keepAlive, openPermits } = this.#options
    const pool = new Pool({
      database: database.name,
      birth,
      replication,
      settings: this.#poolSettings(database.settings, user, replication),
      target: this.#targets.next(database, user, birth, replication),
      keepAlive,
      tracked,
      ids: serverIds,
      openPermits: (owner, holder) => openPermits(database.name, owner, holder),
      transport,
      clock,
      log,
      chance: Math.random,
      onServerConnected: this.#options.onServerConnected,
      onServerClosed: this.#options.onServerClosed,
      onServerOpened: this.#options.onServerOpened,
      onTaken: this.#options.onTaken,
    })
    this.#schemas.moved(pool, this.#targets.placeOf(database.settings))
    this.#pauseOrResume(pool)
    if (this.#options.isSuspended()) pool.suspend(true)
    return pool
  }
}

function isForAnybody({ general }: Settings): boolean {
  return general.auth_type === 'any'
}

function remember<Value>(map: Map<string, Value>, key: string, create: () => Value): Value {
  const known = map.get(key)
  if (known !== undefined) return known
  const value = create()
  map.set(key, value)
  return value
}
