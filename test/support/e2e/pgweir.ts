/** A pooler between real clients and the tests' PostgreSQL. When a test ends, it checks that nothing is left of it. */

import { mkdtemp, rm } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import postgres from 'postgres'
import { expect, onTestFinished } from 'vitest'
import type { Clock } from '../../../src/base/clock.ts'
import { EVICTED } from '../../../src/pool/permits/accounts.ts'
import type { PoolMode } from '../../../src/pool/settings.ts'
import { loadSettings } from '../../../src/settings/load.ts'
import { formatProblem } from '../../../src/settings/problem.ts'
import { CONSOLE_NAME, type DatabaseStats, type Fleet, type PoolSnapshot } from '../../../src/workers/fleet.ts'
// Imported not only for its types: registered first, its cleanup at the end of a file runs after the pooler's.
import '../postgres.ts'
import { onFileEnd } from '../file-end.ts'
import type { TestDatabase, TestRole } from '../postgres.ts'
import { type FileOptions, type Files, writeFilesInto } from './files.ts'
import { startHere } from './one-process.ts'
import { RawClient } from './raw-client.ts'
import type { Running } from './running.ts'
import { until } from './until.ts'
import { startWorkers } from './worker-processes.ts'

/** How many processes serve the clients by default. With 1, the pooler runs in the test's own process. */
export const WORKERS = Number(process.env['PGWEIR_TEST_WORKERS'] ?? 1)

export interface PgweirOptions extends FileOptions {
  /** A clock that only the test moves; `sweep()` checks the deadlines. The pooler then runs in the test's own process. */
  readonly clock?: Clock
  /** The number of processes, instead of `WORKERS`, for tests of how several processes work together. */
  readonly workers?: number
  /** Why the test makes no sense with several processes: it tests what each process does by itself, not a promise of all together. */
  readonly oneProcess?: string
}

/** Starts a pooler for this test alone. */
export async function startPgweir(options: PgweirOptions): Promise<Pgweir> {
  const pgweir = await start(options)
  onTestFinished(() => pgweir.finish())
  return pgweir
}

/**
 * Returns a pooler that other tests of the file with the same options have used, since starting several processes takes longer than most
 * tests. It may have open servers that were used before, but nothing is left of earlier clients. Not for tests that change the pooler, or that
 * depend on what it has done before.
 */
export async function sharedPgweir(options: Omit<PgweirOptions, 'clock'>): Promise<Pgweir> {
  const key = JSON.stringify(options)
  if (shared?.key !== key) {
    await endShared()
    shared = { key, pgweir: await start(options) }
  }
  const { pgweir } = shared
  await pgweir.beginTest()
  onTestFinished(async () => {
    try {
      await pgweir.settle()
    } catch (problem) {
      // The next test gets a new pooler.
      await endShared()
      throw problem
    }
  })
  return pgweir
}

let shared: { readonly key: string; readonly pgweir: Pgweir } | null = null

async function endShared(): Promise<void> {
  const last = shared
  shared = null
  await last?.pgweir.end()
}

onFileEnd(endShared)

async function start(options: PgweirOptions): Promise<Pgweir> {
  const { clock, oneProcess } = options
  const workers = clock || oneProcess ? 1 : (options.workers ?? WORKERS)
  const directory = await mkdtemp(join(tmpdir(), 'pgweir-e2e-'))
  try {
    const files = await writeFilesInto(directory, options)
    // The test has no other access to the log of worker processes.
    const flags = workers > 1 ? { logfile: join(directory, 'pgweir.log') } : {}
    const load = () => loadSettings({ iniFile: files.iniFile, flags })
    expect(load().problems.map(formatProblem)).toEqual([])
    const running = workers > 1 ? await startWorkers(load, workers) : await startHere(load, clock)
    return new Pgweir(running, options, files)
  } catch (problem) {
    await rm(directory, { recursive: true, force: true })
    throw problem
  }
}

/** The maximum of clients to connect until enough of them are in one process. */
const MAX_TRIES = 60

/** The counts of one pool, over all processes. */
export interface Counts {
  /** Clients that have logged in, or that wait for a server in order to log in. */
  readonly clients: number
  readonly waiting: number
  /** Servers in any state. */
  readonly servers: number
  readonly opening: number
  readonly idle: number
  /** Servers that a client holds. */
  readonly leased: number
  /** Cancel requests that are under way. */
  readonly cancels: number
  /** null if there is no such pool. */
  readonly mode: PoolMode | null
}

export interface HttpAnswer {
  readonly status: number
  readonly contentType: string
  readonly text: string
}

export class Pgweir {
  readonly database: TestDatabase
  readonly #running: Running
  #options: PgweirOptions
  readonly #files: Files
  readonly #closers: (() => unknown)[] = []
  #loggedBefore = 0
  #before: DatabaseStats['totals'] | null = null

  constructor(running: Running, options: PgweirOptions, files: Files) {
    this.database = options.database
    this.#running = running
    this.#options = options
    this.#files = files
  }

  /** Changes its files. The pooler notices only at a RELOAD. */
  async rewrite(changes: Partial<PgweirOptions>): Promise<void> {
    this.#options = { ...this.#options, ...changes }
    await writeFilesInto(this.#files.directory, this.#options)
  }

  get addresses() {
    return this.#running.addresses
  }

  /** The addresses that it serves HTTP on, if the settings give any. */
  get httpAddresses() {
    return this.#running.httpAddresses
  }

  get address() {
    const [address] = this.addresses
    if (!address) throw new Error('it does not listen')
    return address
  }

  /** GETs one of its pages. The settings must give an address to listen on. */
  async page(path: string, headers: Readonly<Record<string, string>> = {}, place = 0): Promise<HttpAnswer> {
    const response = await fetch(this.pageUrl(path, place), { headers })
    const text = await response.text()
    return { status: response.status, contentType: response.headers.get('content-type') ?? '', text }
  }

  pageUrl(path: string, place = 0): string {
    const address = this.#running.httpAddresses[place]
    return `http://${address?.host}:${address?.port}${path}`
  }

  /** A connection URL for drivers. */
  url(role: TestRole = this.database): string {
    const { host, port } = this.address
    return `postgres://${role.user}:${encodeURIComponent(role.password)}@${host}:${port}/${this.database.database}`
  }

  /** Connects a `pg` client, which is closed at the end of the test. */
  async client(config: pg.ClientConfig = {}): Promise<pg.Client> {
    const client = this.unconnected(config)
    await client.connect()
    return client
  }

  /** Returns a `pg` client for the test to connect. */
  unconnected(config: pg.ClientConfig = {}): pg.Client {
    const { host, port } = this.address
    const { user, password, database } = this.database
    const client = new pg.Client({ host, port, user, password, database, ...config })
    // A lost connection rejects the awaited query. Without this listener, the error of an idle client would end the process.
    client.on('error', () => {})
    let isIn = false
    client.on('connect', () => {
      isIn = true
    })
    client.on('end', () => {
      isIn = false
    })
    this.onFinish(async () => {
      // A client that has never logged in has nothing to end, and `end` would not return.
      if (isIn) await Promise.race([client.end(), this.#running.stopped])
    })
    return client
  }

  /** Returns a postgres.js client with up to `max` connections, closed at the end of the test. */
  sql(options: postgres.Options<Record<string, postgres.PostgresType>> = {}): postgres.Sql {
    const { host, port } = this.address
    const { user, password, database } = this.database
    const sql = postgres({ host, port, user, password, database, max: 1, onnotice: () => {}, ...options })
    this.onFinish(() => sql.end({ timeout: 5 }))
    return sql
  }

  /** Connects and logs in a client that sends raw messages. */
  async raw(parameters: Readonly<Record<string, string>> = {}): Promise<RawClient> {
    const client = await this.stranger()
    const { user, database } = this.database
    await client.logIn({ user, database, ...parameters })
    return client
  }

  /** Opens a connection on which nothing has been sent yet. */
  async stranger(): Promise<RawClient> {
    const client = await RawClient.connect(this.address)
    this.onFinish(() => client.end())
    return client
  }

  /**
   * Connects clients until `count` of them are in one process, and returns these; the others have left when this returns. Clients in one process
   * can use the same server one after another, whereas between processes only the permit for a server moves.
   */
  async together<Each extends pg.Client | RawClient>(count: number, connect: () => Promise<Each>): Promise<Each[]> {
    const byProcess = new Map<number, Each[]>()
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const client = await connect()
      const process = await this.#processOf(client)
      const found = [...(byProcess.get(process) ?? []), client]
      byProcess.set(process, found)
      if (found.length < count) continue
      const others = [...byProcess.values()].flat().filter((each) => !found.includes(each))
      const ports = new Set(others.map(portOf))
      await Promise.all(others.map((other) => other.end()))
      await until('the others are gone', async () =>
        (await this.fleet.clients()).every(({ peer }) => !ports.has(peer.port)),
      )
      return found
    }
    throw new Error(`of ${MAX_TRIES} clients no ${count} are in one process`)
  }

  /** Returns which of several processes serves a client. */
  async #processOf(client: pg.Client | RawClient): Promise<number> {
    const localPort = portOf(client)
    const [clients, { length: processes }] = await Promise.all([this.fleet.clients(), this.fleet.workers()])
    const found = clients.find(({ peer }) => peer.port === localPort)
    if (!found) throw new Error(`no process knows the client at port ${localPort}`)
    return processes === 1 ? 0 : found.id % 256
  }

  /**
   * The reasons why servers were closed in this test. A server that was closed because another process needed its permit is left out: it is as
   * if the server had moved there.
   */
  get closings(): string[] {
    return this.log.flatMap((line) => {
      const [, reason] = / S-\S+ .*closing because: (.*) \(age=/.exec(line) ?? []
      return reason === undefined || reason === EVICTED ? [] : [reason]
    })
  }

  /** Asks the pooler to cancel a client's query, as Ctrl-C does in psql. Resolves when the request was accepted. */
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

  /** Registers work for the end of the test, before the check that nothing is left. */
  onFinish(close: () => unknown): void {
    this.#closers.push(close)
  }

  /** Checks all deadlines, after the test has moved the clock. */
  sweep(): void {
    this.#running.sweep()
  }

  stop(): Promise<void> {
    return this.#running.stop()
  }

  // What is known of it

  /** What it has logged in this test. */
  get log(): readonly string[] {
    return this.#running.log.slice(this.#loggedBefore)
  }

  get fleet(): Fleet {
    return this.#running.fleet
  }

  /** The number of client connections, including those that are logging in and those on the console. */
  async connections(): Promise<number> {
    return (await this.fleet.lists()).clients
  }

  /** The existing pools, as `database/user`. */
  async pools(): Promise<string[]> {
    const pools = await this.fleet.pools()
    return pools.filter(({ database }) => database !== CONSOLE_NAME).map(({ database, user }) => `${database}/${user}`)
  }

  /** The counts of a pool; by default, that of the test's database and its owner. */
  async counts(database = this.database.database, user = this.database.user): Promise<Counts> {
    const pools = await this.fleet.pools()
    const found = pools.find((pool) => pool.database === database && pool.user === user)
    return found ? countsOf(found) : NO_POOL
  }

  /** The process IDs of the servers in a pool. */
  async serverPids(database = this.database.database, user = this.database.user): Promise<number[]> {
    const servers = await this.fleet.servers()
    return servers
      .filter((server) => server.database === database && server.user === user)
      .map(({ pid }) => pid)
      .sort((one, other) => one - other)
  }

  /** The totals of the database for this test. */
  async totals(): Promise<DatabaseStats['totals']> {
    const totals = await this.#countAll()
    if (totals === null) throw new Error(`there are no figures of ${this.database.database}`)
    const before: Readonly<Record<string, number>> = { ...this.#before }
    return Object.fromEntries(
      Object.entries(totals).map(([name, total]) => [name, total - (before[name] ?? 0)]),
    ) as DatabaseStats['totals']
  }

  /** The totals since the start; null if the database has not been used yet. */
  async #countAll(): Promise<DatabaseStats['totals'] | null> {
    const stats = await this.fleet.stats()
    return stats.find(({ database }) => database === this.database.database)?.totals ?? null
  }

  /** Excludes what was logged and counted in earlier tests. */
  async beginTest(): Promise<void> {
    this.#loggedBefore = this.#running.log.length
    this.#before = await this.#countAll()
  }

  /** Closes its clients, and fails if anything of them is left. */
  async settle(): Promise<void> {
    await Promise.all(this.#closers.splice(0).map((close) => close()))
    await until('all clients are gone', async () => (await this.connections()) === 0)
    await until('no cancel request is under way', async () => (await this.#cancels()) === 0)
    await until('only idle servers are left', async () => (await this.fleet.pools()).every(isIdle))
    for (const pool of await this.fleet.pools()) expect(countsOf(pool)).toMatchObject({ clients: 0, waiting: 0 })
    await this.#running.expectIdle()
    this.#expectNoMistakes()
  }

  /** Stops it, and fails if anything of it is left. */
  async end(): Promise<void> {
    try {
      await this.stop()
      this.#running.expectGone()
      this.#expectNoMistakes()
    } finally {
      await rm(this.#files.directory, { recursive: true, force: true })
    }
  }

  async finish(): Promise<void> {
    await this.settle()
    await this.end()
  }

  #expectNoMistakes(): void {
    expect(this.log.filter((line) => line.includes('internal error'))).toEqual([])
  }

  /** The cancel requests of our own clients, and those for peers. */
  async #cancels(): Promise<number> {
    const [pools, peers] = await Promise.all([this.fleet.pools(), this.fleet.peers()])
    const all = [...pools, ...peers].flatMap(({ cancels }) => Object.values(cancels))
    return all.reduce((sum, count) => sum + count, 0)
  }
}

/** The client's own port. */
function portOf(client: pg.Client | RawClient): number {
  const { localPort = 0 } =
    client instanceof RawClient
      ? client.socket
      : (client as unknown as { connection: { stream: Socket } }).connection.stream
  return localPort
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
