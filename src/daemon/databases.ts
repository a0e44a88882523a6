/** The databases that clients may ask for, and the pools that serve them. */

import type { Clock } from '../base/clock.ts'
import type { Ids } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import type { Address, KeepAlive, Transport } from '../net/channel.ts'
import { dialledAddress, isPath } from '../net/unix-sockets.ts'
import { Hosts } from '../pool/hosts.ts'
import type { PoolTarget } from '../pool/options.ts'
import type { Permits } from '../pool/permits/holder.ts'
import { Pool } from '../pool/pool.ts'
import type { Pools } from '../pool/pools.ts'
import type { PoolSettings } from '../pool/settings.ts'
import type { ShareHolder } from '../pool/share.ts'
import { Welcome } from '../pool/welcome.ts'
import { PoolerError } from '../problems.ts'
import { Router } from '../routing/router.ts'
import { type Birth, NO_BIRTH } from '../server/birth.ts'
import type { ServerEncryption } from '../server/encryption.ts'
import type { Tracked } from '../server/profile.ts'
import type { Server } from '../server/server.ts'
import { SERVER_STATES } from '../server/states.ts'
import { databaseChange } from '../settings/changes.ts'
import type { DatabaseSettings } from '../settings/databases.ts'
import { databaseFor, type Settings } from '../settings/load.ts'
import type { SslMode } from '../settings/tls.ts'
import type { Notice } from '../wire/notices.ts'
import type { Replication } from '../wire/replication.ts'
import type { Welcomed } from '../workers/messages.ts'
import { poolSettings, replicationSettings } from './pool-settings.ts'
import { Schemas, type TellOthersOf } from './schemas.ts'
import type { Users } from './users.ts'
import type { Welcomes } from './welcomes.ts'

export interface DatabasesOptions {
  settings(): Settings
  readonly pools: Pools
  readonly users: Users
  readonly tracked: Tracked
  readonly welcomes: Welcomes
  readonly serverIds: Ids
  /** Which of several hosts is the first: processes that serve the same databases begin with different ones. */
  readonly firstTurn: number
  readonly transport: Transport
  readonly clock: Clock
  readonly log: Log
  readonly keepAlive: KeepAlive
  /** Tables have changed at a place: host, port and name, as one word. */
  /** What servers are asked for, where the database says nothing by the general setting; null for nothing. */
  encryption(mode: SslMode | null, isDirect: boolean): ServerEncryption | null
  /** Null if no other process serves the databases. */
  readonly onSchemaChanged: TellOthersOf | null
  /** A server is connected; it logs in with `begin`. */
  onServerConnected(server: Server, permits: Permits, begin: () => void): void
  /** A server has been closed. */
  onServerClosed(server: Server): void
  onServerOpened(server: Server): void
  /** The sessions of these pools are to end. */
  endClients(pools: ReadonlySet<Pool>, notice: Notice): void
  /** Nobody is read for now. */
  isSuspended(): boolean
  /** A server has taken all that was written to it, while nobody is read. */
  onTaken(): void
  /** Whoever grants the right to open servers. */
  openPermits(database: string, user: string, holder: ShareHolder): Permits
}

/** One database as clients name it. */
export interface Database {
  readonly name: string
  forcedUser: string | null
  settings: DatabaseSettings
  /** See `ServerEncryption`; empty where servers have none. */
  fingerprint: string
  /** Takes no new clients. */
  isDisabled: boolean
  /** Paused by its name; all may be paused besides. */
  isPaused: boolean
  /** It is in the settings, or somebody has come in: no stranger has invented it. */
  isEstablished: boolean
  /** It has had a server. */
  hasWorked: boolean
  /** Since when it has had no pool. */
  unusedSinceMs: number
  /** With which of its hosts the next pool begins: many pools have but a server or two, which would all be on the first. */
  turn: number
}

export class Databases {
  readonly #options: DatabasesOptions
  readonly #databases = new Map<string, Database>()
  readonly #schemas: Schemas
  readonly #router: Router
  #authType: Settings['general']['auth_type']
  #isPaused = false

  constructor(options: DatabasesOptions) {
    this.#options = options
    this.#authType = options.settings().general.auth_type
    this.#schemas = new Schemas(options.onSchemaChanged)
    this.#router = new Router(options.pools, (database, user, birth) =>
      this.#createPool(database as Database, user, birth, 'none'),
    )
    for (const name of options.settings().databases.keys()) this.find(name)
  }

  /** null if there is no such database. */
  find(name: string): Database | null {
    const known = this.#databases.get(name)
    if (known) return known
    const all = this.#options.settings()
    const settings = databaseFor(all, name)
    if (settings === null) return null
    const isEstablished = all.databases.has(name)
    if (!isEstablished) this.#options.log.info(`registered new auto-database: ${name}`, { database: name })
    const database: Database = {
      ...{ name, forcedUser: settings.user, settings, isDisabled: false, isPaused: false },
      ...{ isEstablished, hasWorked: false },
      unusedSinceMs: this.#options.clock.nowMs,
      turn: this.#options.firstTurn,
      fingerprint: this.#fingerprintOf(settings),
    }
    this.#databases.set(name, database)
    return database
  }

  /** Those of one database, or all. */
  pools(database: Database | null): Pool[] {
    return [...this.#options.pools].filter((pool) => database === null || pool.database === database.name)
  }

  [Symbol.iterator](): Iterator<Database> {
    return this.#databases.values()
  }

  /** One or more are paused by their names. */
  get areSomePaused(): boolean {
    return [...this.#databases.values()].some(({ isPaused }) => isPaused)
  }

  /** All were paused by one command. */
  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Each was paused by its name. */
  get areAllPaused(): boolean {
    for (const { isPaused } of this.#databases.values()) if (!isPaused) return false
    return this.#databases.size > 0
  }

  /** Of one database, or of all: their pools are paused as long as either says so. */
  setPaused(database: Database | null, isPaused: boolean): void {
    if (database === null) this.#isPaused = isPaused
    else database.isPaused = isPaused
    for (const pool of this.pools(database)) this.#pauseOrResume(pool)
  }

  /** Pauses one database, or all, and drops the clients. */
  kill(database: Database | null): void {
    const { endClients } = this.#options
    const notice = new PoolerError('database-removed')
    // Their streams would be told of a pause.
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

  /** The pool of one client that asks for replication: it goes with its client. */
  openOwnPool(database: Database, loginUser: string, replication: Replication, birth: Birth): Pool {
    const pool = this.#createPool(database, database.forcedUser ?? loginUser, birth, replication)
    this.#options.pools.add(pool)
    return pool
  }

  /** Its client has gone. */
  closeOwnPool(pool: Pool): void {
    this.#noteUse(pool)
    this.#schemas.left(pool)
    pool.retire(new PoolerError('replication-over'))
  }

  /** False for what only a stranger may have named. */
  isEstablished(name: string): boolean {
    return this.#options.settings().databases.has(name) || (this.#databases.get(name)?.isEstablished ?? false)
  }

  /** For questions of our own, as that user whatever the database forces clients to be. Null if there is no such database. */
  poolForLookups(name: string, user: string): Pool | null {
    const database = this.find(name)
    return database && this.#router.poolAs(database, user, NO_BIRTH)
  }

  /** The settings are other ones: each database and pool gets its own anew. Whoever uses a database that is gone is told so. */
  refresh(): void {
    const all = this.#options.settings()
    const before = this.#authType
    this.#authType = all.general.auth_type
    const pools = this.#poolsByDatabase()
    const lost = new Set<Pool>()
    for (const database of [...this.#databases.values()]) {
      const settings = databaseFor(all, database.name)
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
    if ((before === 'any') !== (this.#authType === 'any')) this.#renewAnybodys()
    this.openForced()
  }

  #change(database: Database, pools: readonly Pool[], settings: DatabaseSettings): void {
    const change = databaseChange(database.settings, settings)
    const before = database.forcedUser
    const fingerprint = this.#fingerprintOf(settings)
    const isOtherTls = fingerprint !== database.fingerprint
    database.fingerprint = fingerprint
    database.settings = settings
    database.forcedUser = settings.user
    for (const pool of pools) {
      // What its client has left behind is being ended, and nothing is opened there any more.
      if (pool.state === 'retiring' || pool.state === 'gone') continue
      if (change?.renewsServers) this.#retarget(database, pool, before)
      else if (isOtherTls) pool.renew('TLS configuration changed')
      pool.reconfigure(this.#poolSettings(settings, pool.user, pool.options.replication))
    }
  }

  /** With auth_type = any whoever comes is served as the user that it names: no secret of that user logs in to servers for it. */
  #isAnybodys({ forcedUser }: Database, user: string): boolean {
    return this.#options.settings().general.auth_type === 'any' && forcedUser !== user
  }

  /** Clients of a forced user share the servers of the new one. A pool of a user that the client has named keeps its own. */
  #retarget(database: Database, pool: Pool, forcedBefore: string | null): void {
    const { user } = pool
    const next = user === forcedBefore ? (database.forcedUser ?? user) : user
    pool.retarget(
      this.#targetOf(database, next, pool.birth, pool.options.replication),
      'database configuration changed',
    )
    this.#schemas.moved(pool, this.#placeOf(database.settings))
    if (next !== user) this.#options.pools.rename(pool, user)
  }

  /** auth_type is `any` from now on, and their servers may have been logged in to with a secret; or it is no more, and those that failed may be. */
  #renewAnybodys(): void {
    for (const pool of this.#options.pools) {
      const database = this.#databases.get(pool.database)
      if (this.#authType !== 'any') pool.tryAgain()
      else if (database && this.#isAnybodys(database, pool.user) && !pool.isOfOneClient) pool.renew('auth_type is any')
    }
  }

  /** PgBouncer's rule, for what it says in the log: clients that share servers cannot get servers of their own again. */
  #keepingForcedUser({ settings: before }: Database, settings: DatabaseSettings): DatabaseSettings {
    if (before.user === null || settings.user !== null) return settings
    this.#options.log.warning(`database "${settings.name}": losing forced user not supported, keeping old setting`)
    return { ...settings, user: before.user, password: before.password }
  }

  /** Their databases are gone. */
  #giveUp(pools: ReadonlySet<Pool>): void {
    const notice = new PoolerError('database-removed')
    for (const pool of pools) this.#options.pools.remove(pool)
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

  /** Pools with a forced user are kept filled from the start. */
  openForced(): void {
    for (const database of this.#databases.values())
      if (database.forcedUser !== null) this.poolFor(database, database.forcedUser)
  }

  /** See `Names`. */
  hostMoved(host: string, addresses: ReadonlySet<string>): void {
    for (const pool of this.#options.pools) pool.hostMoved(host, addresses)
  }

  /** Those that have servers. */
  hostsInUse(): ReadonlySet<string> {
    const hosts = new Set<string>()
    for (const pool of this.#options.pools)
      for (const state of SERVER_STATES) for (const { address } of pool.servers(state)) hosts.add(address.host)
    return hosts
  }

  /** Another process has seen that tables have changed. */
  schemaChangedElsewhere(place: string): void {
    this.#schemas.changedElsewhere(place)
  }

  /** Strangers choose the names of users and databases: what nobody uses any more is forgotten. */
  sweep(): void {
    const { pools, settings } = this.#options
    for (const pool of pools) if (pool.isForgettable && !this.#isKept(pool)) this.#forget(pool)
    const configured = settings().databases
    for (const database of this.#databases.values())
      if (!configured.has(database.name) && this.#isUnused(database)) {
        this.#databases.delete(database.name)
        pools.forgetPast(database.name)
      }
  }

  /** Filled even without clients. */
  #isKept(pool: Pool): boolean {
    const { settings, pools } = this.#options
    const forcedUser = this.#databases.get(pool.database)?.forcedUser ?? null
    return (
      settings().databases.has(pool.database) && forcedUser !== null && pools.find(pool.database, forcedUser) === pool
    )
  }

  #forget(pool: Pool): void {
    this.#noteUse(pool)
    this.#options.pools.forget(pool)
    this.#schemas.left(pool)
  }

  /** The pool goes, and its database may have no other. */
  #noteUse(pool: Pool): void {
    const database = this.#databases.get(pool.database)
    if (database === undefined) return
    database.hasWorked ||= pool.welcome !== null
    database.unusedSinceMs = Math.max(database.unusedSinceMs, pool.unusedSinceMs ?? this.#options.clock.nowMs)
  }

  /** A database of the entry `*` that nobody has used for autodb_idle_timeout, or that never was one. */
  #isUnused(database: Database): boolean {
    const { settings, clock, pools } = this.#options
    if (database.isPaused || database.isDisabled || pools.hasAny(database.name)) return false
    const timeoutMs = settings().general.autodb_idle_timeout
    if (!database.hasWorked) return true
    return timeoutMs > 0 && clock.nowMs - database.unusedSinceMs >= timeoutMs
  }

  /** A server has logged in to another process. */
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
      target: this.#targetOf(database, user, birth, replication),
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
    this.#schemas.moved(pool, this.#placeOf(database.settings))
    this.#pauseOrResume(pool)
    if (this.#options.isSuspended()) pool.suspend(true)
    return pool
  }

  /** As PgBouncer does it, servers without a host are where our own unix socket is. */
  #addressesOf({ host, port }: DatabaseSettings): Address[] {
    const hosts = (host || this.#options.settings().general.unix_socket_dir).split(',')
    return hosts.map((each) => dialledAddress({ host: each.trim(), port }))
  }

  #fingerprintOf(settings: DatabaseSettings): string {
    const isLocal = this.#addressesOf(settings).every(({ host }) => isPath(host))
    return isLocal ? '' : (this.#encryption(settings)?.fingerprint ?? '')
  }

  #encryption({ sslmode, sslnegotiation }: DatabaseSettings): ServerEncryption | null {
    return this.#options.encryption(sslmode, sslnegotiation === 'direct')
  }

  #placeOf(settings: DatabaseSettings): string {
    const hosts = this.#addressesOf(settings).map(({ host }) => host)
    return `${hosts.join()}\0${settings.port}\0${settings.dbname}`
  }

  #targetOf(database: Database, user: string, birth: Birth, replication: Replication): PoolTarget {
    const { users, settings } = this.#options
    const { port, dbname, password, connect_query } = database.settings
    const parameters = serverParameters(database.settings)
    const addresses = this.#addressesOf(database.settings)
    const hosts = addresses.map(({ host }) => host).join()
    // What is followed, as a slot, is at one of them.
    const turn = replication === 'none' ? database.turn++ : 0
    // Clients that were there before their database got a forced user have servers of their own still.
    const forcedPassword = () => (database.forcedUser === user ? database.settings.password : null)
    const how = [database.name, hosts, port, dbname, user, password, connect_query, [...parameters], [...birth]]
    return {
      hosts: new Hosts(addresses, database.settings.load_balance_hosts, turn),
      identity: {
        user,
        database: dbname,
        parameters,
        secret: () => {
          if (this.#isAnybodys(database, user)) throw new PoolerError('any-without-forced-user')
          return users.serverSecret(database.name, user, forcedPassword())
        },
        scramKeys: () => users.scramKeys(database.name, user),
      },
      schema: this.#schemas.at(this.#placeOf(database.settings)),
      welcome: replication === 'none' ? this.#options.welcomes.of(how) : new Welcome(),
      // For physical replication Postgres takes no SQL.
      connectQuery: replication === 'physical' ? '' : (connect_query ?? ''),
      encryption: ({ host }) => (isPath(host) ? null : this.#encryption(database.settings)),
      // Whoever is forced to be this user finds servers. In databases of the entry `*`, whose names strangers choose, only while there is anybody.
      fillsAlone: () => database.forcedUser === user && settings().databases.has(database.name),
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
