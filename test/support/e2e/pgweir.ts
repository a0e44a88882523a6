/** A pooler in this process between real clients and the tests' PostgreSQL; when the test ends, nothing of it may be left. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import postgres from 'postgres'
import { expect, onTestFinished } from 'vitest'
import { type Clock, SystemClock } from '../../../src/base/clock.ts'
import { createLog } from '../../../src/base/log.ts'
import type { Session } from '../../../src/client/session.ts'
import { type Pooler, startPooler } from '../../../src/daemon/start.ts'
import type { Pool } from '../../../src/pool/pool.ts'
import { SERVER_STATES } from '../../../src/server/states.ts'
import { loadSettings } from '../../../src/settings/load.ts'
import { formatProblem } from '../../../src/settings/problem.ts'
import type { SettingKey } from '../../../src/settings/schema.ts'
import { expectBooksRight } from '../permits.ts'
import type { TestDatabase, TestRole } from '../postgres.ts'
import { RawClient } from './raw-client.ts'
import { until } from './until.ts'

export interface PgweirOptions {
  /** Where it leads: the entry of [databases], and the one user in auth_file. */
  readonly database: TestDatabase
  /** Over those of the tests: transaction mode, one server, no password asked. */
  readonly settings?: Partial<Record<SettingKey, string | number>>
  /** More connection settings for the entry: `pool_size=2`. */
  readonly entry?: string
  /** More lines of [databases] and [users], and those of [peers]. */
  readonly databases?: readonly string[]
  readonly users?: readonly string[]
  readonly peers?: readonly string[]
  /** Instead of the owner's plain password: what auth_file holds. */
  readonly secrets?: Readonly<Record<string, string>>
  /** Time stands still, and deadlines are looked at by `pooler.parts.sweep()`. */
  readonly clock?: Clock
}

/** Files as an operator writes them. */
export interface Files {
  readonly directory: string
  readonly iniFile: string
}

export async function startPgweir(options: PgweirOptions): Promise<Pgweir> {
  const files = await writeFiles(options)
  const load = () => loadSettings({ iniFile: files.iniFile })
  const { settings, problems } = load()
  expect(problems.map(formatProblem)).toEqual([])
  const clock = options.clock ?? new SystemClock()
  const lines: string[] = []
  const log = createLog({
    format: settings.general.log_format,
    level: settings.general.verbose > 0 ? 'debug' : 'info',
    wallMs: () => clock.wallMs(),
    write: (line) => lines.push(line),
  })
  const pooler = await startPooler(settings, { log, clock, sweepsByItself: options.clock === undefined, load })
  const pgweir = new Pgweir(pooler, options, files, lines)
  onTestFinished(() => pgweir.finish())
  return pgweir
}

/** Writes an ini file and an auth_file into a directory that goes away with the test. */
export async function writeFiles(options: PgweirOptions): Promise<Files> {
  const directory = await mkdtemp(join(tmpdir(), 'pgweir-e2e-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return writeFilesInto(directory, options)
}

async function writeFilesInto(directory: string, options: PgweirOptions): Promise<Files> {
  const { database, settings = {}, entry = '', databases = [], users = [], peers = [], secrets } = options
  const iniFile = join(directory, 'pgweir.ini')
  const authFile = join(directory, 'users.txt')
  const general = {
    listen_port: 0,
    auth_type: 'trust',
    auth_file: authFile,
    pool_mode: 'transaction',
    default_pool_size: 1,
    transport: process.env['PGWEIR_TEST_TRANSPORT'] ?? 'auto',
    ...settings,
  }
  const { host, port, database: name } = database
  await writeFile(
    iniFile,
    [
      '[databases]',
      `${name} = host=${host} port=${port} ${entry}`,
      ...databases,
      '[users]',
      ...users,
      '[peers]',
      ...peers,
      '[pgbouncer]',
      ...Object.entries(general).map(([key, value]) => `${key} = ${value}`),
      '',
    ].join('\n'),
  )
  const known = secrets ?? { [database.user]: database.password }
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`
  await writeFile(
    authFile,
    Object.entries(known)
      .map(([user, secret]) => `${quoted(user)} ${quoted(secret)}\n`)
      .join(''),
  )
  return { directory, iniFile }
}

export class Pgweir {
  readonly pooler: Pooler
  readonly database: TestDatabase
  /** What it has logged. */
  readonly log: readonly string[]
  #options: PgweirOptions
  readonly #files: Files
  readonly #closers: (() => unknown)[] = []

  constructor(pooler: Pooler, options: PgweirOptions, files: Files, log: readonly string[]) {
    this.pooler = pooler
    this.database = options.database
    this.#options = options
    this.#files = files
    this.log = log
  }

  /** Its files say something else from now on, which it does not know before it is told to reload. */
  async rewrite(changes: Partial<PgweirOptions>): Promise<void> {
    this.#options = { ...this.#options, ...changes }
    await writeFilesInto(this.#files.directory, this.#options)
  }

  get address() {
    const [address] = this.pooler.addresses
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
    let hasEnded = false
    client.on('end', () => {
      hasEnded = true
    })
    this.onFinish(async () => {
      // A client that never got in has nothing to end, and would wait for it.
      if (!hasEnded && this.pooler.parts.sessions.count > 0) await Promise.race([client.end(), this.pooler.stopped])
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

  get sessions(): Session[] {
    return [...this.pooler.parts.sessions]
  }

  /** The pool of the one database, or of another and another user. */
  pool(database = this.database.database, user = this.database.user): Pool {
    const pool = this.pooler.parts.pools.find(database, user)
    if (!pool) throw new Error(`there is no pool of ${database} and ${user}`)
    return pool
  }

  /** Process numbers of the servers in the pool. */
  serverPids(pool = this.pool()): number[] {
    return SERVER_STATES.flatMap((state) => [...pool.servers(state)].map(({ pid }) => pid)).sort((a, b) => a - b)
  }

  async finish(): Promise<void> {
    await Promise.all(this.#closers.map((close) => close()))
    const { pools, sessions, cancels, peerCancels } = this.pooler.parts
    await until('all clients are gone', () => sessions.count === 0)
    const underWay = () => cancels.inFlight + cancels.waiting + peerCancels.count
    await until('no cancel request is under way', () => underWay() === 0)
    for (const pool of pools) {
      await until(`no lease of ${pool.subject} is out`, () => pool.count('leased') === 0)
      await until(`no server of ${pool.subject} is busy`, () => pool.count('idle') + opening(pool) === pool.total)
      expect(pool.waiting.length, 'clients that wait').toBe(0)
      expect(pool.clients, 'clients that are counted').toBe(0)
      for (const server of pool.servers('idle')) {
        expect(server.isClean, 'the ledger of an idle server is empty').toBe(true)
        expect(server.tenant, 'nobody holds an idle server').toBe(null)
      }
    }
    expectBooksRight(this.pooler.parts)
    await this.pooler.stop()
    for (const pool of pools) {
      expect(pool.total, 'servers after the end').toBe(0)
      expect(pool.statements.size, 'shared statements after the end').toBe(0)
    }
    expect(this.log.filter((line) => line.includes('internal error'))).toEqual([])
  }
}

function opening(pool: Pool): number {
  return pool.count('dialing') + pool.count('login')
}
