/** A pooler between real clients and the tests' PostgreSQL; when the test ends, nothing of it may be left. */

import { join } from 'node:path'
import pg from 'pg'
import postgres from 'postgres'
import { expect, onTestFinished } from 'vitest'
import type { Clock } from '../../../src/base/clock.ts'
import type { PoolMode } from '../../../src/pool/settings.ts'
import { loadSettings } from '../../../src/settings/load.ts'
import { formatProblem } from '../../../src/settings/problem.ts'
import { CONSOLE_NAME, type DatabaseStats, type Fleet, type PoolSnapshot } from '../../../src/workers/fleet.ts'
import type { TestDatabase, TestRole } from '../postgres.ts'
import { type FileOptions, type Files, writeFiles, writeFilesInto } from './files.ts'
import { startHere } from './one-process.ts'
import { RawClient } from './raw-client.ts'
import type { Running } from './running.ts'
import { until } from './until.ts'
import { startWorkers } from './worker-processes.ts'

/** How many processes serve the clients of each test that does not say otherwise; with 1 it is that of the test. */
export const WORKERS = Number(process.env['PGWEIR_TEST_WORKERS'] ?? 1)

export interface PgweirOptions extends FileOptions {
  /** Time stands still, and deadlines are looked at by `sweep()`. Always in the test's own process. */
  readonly clock?: Clock
  /** For tests of what several processes do together, whatever the others run with. */
  readonly workers?: number
  /** Why the test makes no sense with several processes: it looks at what is a matter of each one, and no promise of all. */
  readonly oneProcess?: string
}

export async function startPgweir(options: PgweirOptions): Promise<Pgweir> {
  const { clock, oneProcess } = options
  const workers = clock || oneProcess ? 1 : (options.workers ?? WORKERS)
  const files = await writeFiles(options)
  // Worker processes have no other way to tell.
  const flags = workers > 1 ? { logfile: join(files.directory, 'pgweir.log') } : {}
  const load = () => loadSettings({ iniFile: files.iniFile, flags })
  expect(load().problems.map(formatProblem)).toEqual([])
  const running = workers > 1 ? await startWorkers(load, workers) : await startHere(load, clock)
  const pgweir = new Pgweir(running, options, files)
  onTestFinished(() => pgweir.finish())
  return pgweir
}

/** Of one pool, in all processes together. */
export interface Counts {
  /** Clients that have logged in, or wait for a server to be logged in with. */
  readonly clients: number
  readonly waiting: number
  /** Servers, in whatever state. */
  readonly servers: number
  readonly opening: number
  readonly idle: number
  /** Those that a client has. */
  readonly leased: number
  /** Cancel requests for them that are under way. */
  readonly cancels: number
  /** null while there is no such pool. */
  readonly mode: PoolMode | null
}

export class Pgweir {
  readonly database: TestDatabase
  readonly #running: Running
  #options: PgweirOptions
  readonly #files: Files
  readonly #closers: (() => unknown)[] = []

  constructor(running: Running, options: PgweirOptions, files: Files) {
    this.database = options.database
    this.#running = running
    this.#options = options
    this.#files = files
  }

  /** Its files say something else from now on, which it does not know before it is told to reload. */
  async rewrite(changes: Partial<PgweirOptions>): Promise<void> {
    this.#options = { ...this.#options, ...changes }
    await writeFilesInto(this.#files.directory, this.#options)
  }

  get addresses() {
    return this.#running.addresses
  }

  get address() {
    const [address] = this.addresses
    if (!address) throw new Error('it does not listen')
    return address
  }

  /** For a driver. */
  url(role: TestRole = this.database): string {
    const { host, port } = this.address
    return `postgres://${role.user}:${encodeURIComponent(role.password)}@${host}:${port}/${this.database.database}`
  }

  /** A connected `pg` client, closed by itself. */
  async client(config: pg.ClientConfig = {}): Promise<pg.Client> {
    const client = this.unconnected(config)
    await client.connect()
    return client
  }

  /** A `pg` client whose `connect` is the test's affair. */
  unconnected(config: pg.ClientConfig = {}): pg.Client {
    const { host, port } = this.address
    const { user, password, database } = this.database
    const client = new pg.Client({ host, port, user, password, database, ...config })
    // A lost connection is told to whoever awaits a query; an idle client would end the process.
    client.on('error', () => {})
    let isIn = false
    client.on('connect', () => {
      isIn = true
    })
    client.on('end', () => {
      isIn = false
    })
    this.onFinish(async () => {
      // One that never got in has nothing to end, and would wait for it.
      if (isIn) await Promise.race([client.end(), this.#running.stopped])
    })
    return client
  }

  /** A postgres.js client with up to `max` connections, closed by itself. */
  sql(options: postgres.Options<Record<string, postgres.PostgresType>> = {}): postgres.Sql {
    const { host, port } = this.address
    const { user, password, database } = this.database
    const sql = postgres({ host, port, user, password, database, max: 1, onnotice: () => {}, ...options })
    this.onFinish(() => sql.end({ timeout: 5 }))
    return sql
  }

  /** A client of bare messages that has logged in. */
  async raw(parameters: Readonly<Record<string, string>> = {}): Promise<RawClient> {
    const client = await this.stranger()
    const { user, database } = this.database
    await client.logIn({ user, database, ...parameters })
    return client
  }

  /** A connection on which nothing was said yet. */
  async stranger(): Promise<RawClient> {
    const client = await RawClient.connect(this.address)
    this.onFinish(() => client.end())
    return client
  }

  /** Asks the pooler to cancel what a client runs, as psql's Ctrl-C does. Resolves when the request was taken. */
  async cancel(key: { readonly pid: number; readonly secret: number }): Promise<void> {
    const client = await this.stranger()
    const request = Buffer.alloc(16)
    request.writeInt32BE(16, 0)
    request.writeInt32BE(80_877_102, 4)
    request.writeInt32BE(key.pid, 8)
    request.writeInt32BE(key.secret, 12)
    client.send(request)
    await until('the cancel request was taken', () => client.hasEnded)
  }

  /** Run at the end of the test, before it is checked that nothing is left. */
  onFinish(close: () => unknown): void {
    this.#closers.push(close)
  }

  /** Seconds of a clock that is moved by hand are over. */
  sweep(): void {
    this.#running.sweep()
  }

  stop(): Promise<void> {
    return this.#running.stop()
  }

  // What is known of it

  /** What it has logged. */
  get log(): readonly string[] {
    return this.#running.log
  }

  get fleet(): Fleet {
    return this.#running.fleet
  }

  /** Connections of clients, also those that are logging in and those on the console. */
  async connections(): Promise<number> {
    return (await this.fleet.lists()).clients
  }

  /** Those that there are, as `database/user`. */
  async pools(): Promise<string[]> {
    const pools = await this.fleet.pools()
    return pools.filter(({ database }) => database !== CONSOLE_NAME).map(({ database, user }) => `${database}/${user}`)
  }

  /** Of the pool of the one database, or of another and another user. */
  async counts(database = this.database.database, user = this.database.user): Promise<Counts> {
    const pools = await this.fleet.pools()
    const found = pools.find((pool) => pool.database === database && pool.user === user)
    return found ? countsOf(found) : NO_POOL
  }

  /** Process numbers of the servers in the pool. */
  async serverPids(database = this.database.database, user = this.database.user): Promise<number[]> {
    const servers = await this.fleet.servers()
    return servers
      .filter((server) => server.database === database && server.user === user)
      .map(({ pid }) => pid)
      .sort((one, other) => one - other)
  }

  /** What the database has done since the start. */
  async totals(): Promise<DatabaseStats['totals']> {
    const stats = await this.fleet.stats()
    const found = stats.find(({ database }) => database === this.database.database)
    if (!found) throw new Error(`there are no figures of ${this.database.database}`)
    return found.totals
  }

  async finish(): Promise<void> {
    await Promise.all(this.#closers.map((close) => close()))
    await until('all clients are gone', async () => (await this.connections()) === 0)
    await until('no cancel request is under way', async () => (await this.#cancels()) === 0)
    await until('only idle servers are left', async () => (await this.fleet.pools()).every(isIdle))
    for (const pool of await this.fleet.pools()) expect(countsOf(pool)).toMatchObject({ clients: 0, waiting: 0 })
    await this.#running.expectIdle()
    await this.stop()
    this.#running.expectGone()
    expect(this.log.filter((line) => line.includes('internal error'))).toEqual([])
  }

  /** Those of clients here, and those for peers. */
  async #cancels(): Promise<number> {
    const [pools, peers] = await Promise.all([this.fleet.pools(), this.fleet.peers()])
    const all = [...pools, ...peers].flatMap(({ cancels }) => Object.values(cancels))
    return all.reduce((sum, count) => sum + count, 0)
  }
}

function countsOf({ clients, servers, cancels, mode }: PoolSnapshot): Counts {
  return {
    clients: sumOf(clients),
    waiting: clients.waiting,
    servers: sumOf(servers),
    opening: servers.new,
    idle: servers.idle + servers.used,
    leased: servers.active,
    cancels: sumOf(cancels),
    mode,
  }
}

const NO_POOL: Counts = { clients: 0, waiting: 0, servers: 0, opening: 0, idle: 0, leased: 0, cancels: 0, mode: null }

function isIdle(pool: PoolSnapshot): boolean {
  const { servers, opening, idle } = countsOf(pool)
  return opening + idle === servers
}

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}
