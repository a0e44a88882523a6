/** Starts a whole pooler in memory, with a clock that the test moves, and checks the invariants when the test is over. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import { createLog } from '../../../src/base/log.ts'
import { CANCEL_AGAIN_MS, GIVE_UP_MS } from '../../../src/client/abandoned.ts'
import { type Pooler, startPooler } from '../../../src/daemon/start.ts'
import type { Address } from '../../../src/net/channel.ts'
import type { DialLdap } from '../../../src/net/ldap-connection.ts'
import {
  type Cut,
  createMemoryTransport,
  type MemoryChannel,
  type MemoryTransport,
} from '../../../src/net/memory-transport.ts'
import type { NameService } from '../../../src/net/names/look-up.ts'
import type { PamHelpers } from '../../../src/net/pam-helpers.ts'
import type { Pool } from '../../../src/pool/pool.ts'
import { SERVER_STATES } from '../../../src/server/states.ts'
import { type Loaded, loadSettings } from '../../../src/settings/load.ts'
import { FlowClient, type LoginOptions } from './client.ts'
import { quiet, until } from './inbox.ts'
import { expectNothingLeft, expectSound } from './invariants.ts'
import type { Others } from './member.ts'
import { FlowPostgres, type FlowServer } from './postgres.ts'

/** Settings as in the ini file. By default, transaction mode without passwords. */
export interface FlowOptions {
  readonly settings?: Readonly<Record<string, string | number>>
  /** Lines of [databases]. */
  readonly databases?: readonly string[]
  /** Lines of [users]. */
  readonly users?: readonly string[]
  /** Lines of [peers]. */
  readonly peers?: readonly string[]
  /** A transport shared with other poolers; by default a separate one. */
  readonly transport?: MemoryTransport
  /** The address of its Postgres, if there are several on the transport. */
  readonly postgres?: Address
  /** Other processes that serve the same databases. */
  readonly others?: Others
  /** Connects to the LDAP directory that the test plays. */
  readonly dialLdap?: DialLdap
  readonly pamHelpers?: Pick<PamHelpers, 'isRight' | 'close'>
  /** Lines of auth_file: `"ada" "secret"`. */
  readonly authFile?: readonly string[]
  /** Resolves the hosts of [databases]; by default, the transport knows them by name. */
  readonly names?: NameService
  /** How the bytes of each connection are cut into reads. */
  readonly cut?: Cut
  /** How many bytes each connection takes before its writer owes some. */
  readonly windowBytes?: number
}

const SETTINGS: Readonly<Record<string, string>> = {
  ...{ auth_type: 'any', pool_mode: 'transaction', listen_port: '0', unix_socket_dir: '' },
  server_tls_sslmode: 'disable',
  auth_failure_delay: '0',
}

export class Flow {
  readonly clock = new ManualClock()
  readonly transport: MemoryTransport
  readonly postgres: FlowPostgres
  readonly log: string[] = []
  readonly clients: FlowClient[] = []
  /** The files that it was told to reload. */
  readonly reloadedFrom: string[] = []
  #pooler: Pooler | null = null
  #isOver = false
  #directory: string | null = null
  #options: FlowOptions

  constructor(options: FlowOptions) {
    this.#options = options
    const { cut, windowBytes } = options
    this.transport =
      options.transport ??
      createMemoryTransport({
        ...(cut !== undefined && { cut }),
        ...(windowBytes !== undefined && { windowBytes }),
      })
    this.postgres = new FlowPostgres(this.transport, options.postgres)
  }

  get pooler(): Pooler {
    if (!this.#pooler) throw new Error('the pooler was not started')
    return this.#pooler
  }

  async start(): Promise<this> {
    await this.postgres.listen()
    const { settings, problems } = this.#load()
    const errors = problems.filter((problem) => problem.severity === 'error')
    if (errors.length > 0) throw new Error(errors.map((problem) => problem.sentence).join('\n'))
    const log = createLog({
      format: 'text',
      level: 'debug',
      wallMs: () => this.clock.wallMs(),
      write: (line) => this.log.push(line),
    })
    const { others, names } = this.#options
    const { dialLdap, pamHelpers } = this.#options
    this.#pooler = await startPooler(settings, {
      ...(dialLdap && { dialLdap }),
      ...(pamHelpers && { pamHelpers }),
      ...(others && { membership: others.membership(this.clock, () => this.pooler.parts.permits) }),
      transport: this.transport,
      ...(names && { names }),
      clock: this.clock,
      log,
      sweepsByItself: false,
      load: (iniFile) => {
        this.reloadedFrom.push(iniFile)
        return this.#load()
      },
    })
    return this
  }

  /** Changes the files. The pooler notices only at a RELOAD. */
  change(options: Pick<FlowOptions, 'settings' | 'databases' | 'users' | 'peers' | 'authFile'>): void {
    this.#options = { ...this.#options, ...options }
  }

  /** Rewrites auth_file without a RELOAD. */
  rewriteAuthFile(lines: readonly string[]): void {
    this.#write('userlist.txt', lines)
  }

  /** Removes auth_file. */
  removeAuthFile(): void {
    rmSync(join(this.#directory ?? '', 'userlist.txt'))
  }

  #load(): Loaded {
    const { settings = {}, users = [], peers = [], authFile } = this.#options
    const { databases = [`app=host=${this.postgres.address.host}`] } = this.#options
    const flags: Record<string, string> = { ...SETTINGS }
    for (const [key, value] of Object.entries(settings)) flags[key] = String(value)
    if (authFile) flags['auth_file'] = this.#write('userlist.txt', authFile)
    const lines = ['[users]', ...users, '[peers]', ...peers]
    const iniFile = lines.length > 2 ? this.#write('pgweir.ini', lines) : null
    return loadSettings({ flags, databases, iniFile, env: {} })
  }

  #write(name: string, lines: readonly string[]): string {
    this.#directory ??= mkdtempSync(join(tmpdir(), 'pgweir-flow-'))
    const path = join(this.#directory, name)
    writeFileSync(path, `${lines.join('\n')}\n`)
    return path
  }

  /** Opens a connection to the pooler on which nothing has been sent yet. */
  async dial(): Promise<FlowClient> {
    const address = this.pooler.addresses[0]
    if (!address) throw new Error('the pooler does not listen')
    const channel = await new Promise<MemoryChannel>((resolve, reject) => {
      const keepAlive = { isOn: false, idleMs: 0 }
      this.transport.dial(
        { address, keepAlive },
        { onConnected: (connected) => resolve(connected as MemoryChannel), onFailed: reject },
      )
    })
    const client = new FlowClient(channel)
    this.clients.push(client)
    return client
  }

  /** Connects and logs in a client. */
  async connect(options: LoginOptions = {}): Promise<FlowClient> {
    const client = await this.dial()
    return client.login(options)
  }

  pool(database = 'app', user = 'ada'): Pool {
    const pool = this.pooler.parts.pools.find(database, user)
    if (!pool) throw new Error(`there is no pool ${database}/${user}`)
    return pool
  }

  /** The number of servers in each state that has any, and of waiting clients if there are any. */
  counts(pool: Pool = this.pool()): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const state of SERVER_STATES) if (pool.count(state) > 0) counts[state] = pool.count(state)
    if (pool.waiting.length > 0) counts['waiting'] = pool.waiting.length
    return counts
  }

  /** Waits until the pool has these counts. */
  async expectCounts(expected: Readonly<Record<string, number>>, pool?: Pool): Promise<void> {
    const wanted = JSON.stringify(expected)
    await until(
      () => JSON.stringify(this.counts(pool)) === wanted,
      () => `the pool should be ${wanted}, but is ${JSON.stringify(this.counts(pool))}`,
    )
  }

  /** Moves the clock and lets the janitor sweep. */
  async advance(ms: number): Promise<void> {
    await quiet()
    this.clock.advance(ms)
    this.pooler.parts.sweep()
    await quiet()
  }

  /** The lines of the log that contain a text. */
  logged(text: string): string[] {
    return this.log.filter((line) => line.includes(text))
  }

  /** Stops the pooler and checks what must hold whatever the test has done. */
  async finish(): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    try {
      if (this.#pooler) await this.#check(this.#pooler)
    } finally {
      if (this.#directory) rmSync(this.#directory, { recursive: true })
    }
  }

  /** Moves the clock until the pooler has closed servers that still run what their clients have left behind. */
  async #giveUp(pooler: Pooler): Promise<void> {
    const isLeft = () => [...pooler.parts.pools].some((pool) => pool.count('leased') > 0)
    for (let passedMs = 0; isLeft() && passedMs <= GIVE_UP_MS; passedMs += CANCEL_AGAIN_MS)
      await this.advance(CANCEL_AGAIN_MS)
  }

  async #check(pooler: Pooler): Promise<void> {
    const unread = this.clients.flatMap((client) =>
      client.inbox.unread.map((reply) => `${client.name}: ${reply.shown}`),
    )
    expectSound(this)
    for (const client of this.clients) client.vanish()
    this.postgres.finishCancels()
    await quiet(5)
    // More cancel requests may have been waiting for their turn.
    this.postgres.finishCancels()
    await quiet(5)
    await this.#giveUp(pooler)
    expectSound(this)
    expectNothingLeft(this)
    await pooler.stop()
    await quiet(5)
    const open = this.postgres.open.length
    if (open > 0) throw new Error(`${open} server connections outlive the pooler`)
    for (const pool of pooler.parts.pools)
      if (pool.total > 0 || pool.statements.size > 0)
        throw new Error(`${pool.subject} is left with ${pool.total} servers and ${pool.statements.size} statements`)
    if (unread.length > 0) throw new Error(`the test did not expect:\n${unread.slice(0, 20).join('\n')}`)
  }
}

/** Starts a pooler without clients. It is stopped and checked when the test is over. */
export async function startFlow(options: FlowOptions = {}): Promise<Flow> {
  const flow = new Flow(options)
  onTestFinished(() => flow.finish())
  return flow.start()
}

export interface Pair {
  readonly flow: Flow
  /** Has logged in. */
  readonly client: FlowClient
  /** The only server, opened for the client's login and idle now. */
  readonly postgres: FlowServer
  readonly pool: Pool
}

/** Starts a pooler with one client and one server connection. */
export async function startPair(options: FlowOptions & { readonly login?: LoginOptions } = {}): Promise<Pair> {
  const flow = await startFlow(options)
  const client = await flow.connect(options.login)
  const postgres = await flow.postgres.next()
  const { user = 'ada', database = 'app' } = options.login ?? {}
  return { flow, client, postgres, pool: flow.pool(database, user) }
}
