/** `pgweir demo`: a temporary PostgreSQL with pgweir in front of it, for a first look. */

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { InvariantError } from '../../base/invariant.ts'
import { launch } from '../../daemon/launch.ts'
import type { Pooler } from '../../daemon/start.ts'
import { type EmbeddedPostgres, type EmbeddedPostgresOptions, startEmbeddedPostgres } from '../../embedded/postgres.ts'
import { type Loaded, loadSettings, type Settings } from '../../settings/load.ts'
import { formatProblem, hasErrors } from '../../settings/problem.ts'
import { environmentName } from '../../settings/schema.ts'
import type { HttpAddress } from '../../settings/values.ts'
import { EndSignals } from '../signals.ts'

export interface DemoOptions {
  /** Settings from the command line, by key. */
  readonly flags: Readonly<Record<string, string>>
  /** The password of the role `demo`; a random one if it is not given. */
  readonly password?: string | undefined
  /** Whether to show nothing of the pooler's log. */
  readonly isQuiet?: boolean
}

/** Runs until Ctrl-C. Resolves with the exit code. */
export async function demo(options: DemoOptions): Promise<number> {
  const interrupt = new AbortController()
  // If a second Ctrl-C ends us at once, PostgreSQL's guard still removes what is left.
  const exit = () => process.exit(1)
  const ends = new EndSignals(exit, exit)
  const onSignal = (signal: string) =>
    ends.received(signal, () => (interrupt.signal.aborted ? exit() : interrupt.abort()))
  for (const signal of SIGNALS) process.on(signal, onSignal)
  try {
    return await runDemo(options, {
      env: process.env,
      interrupted: interrupt.signal,
      write: (text) => console.log(text),
      findTakenAddress,
      isFree,
      startPostgres: startEmbeddedPostgres,
      createDemoDatabase,
      startPooler: (settings) => launch(settings, { isQuiet: options.isQuiet ?? false }),
    })
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal)
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/** The name of the role, of its database, and of the console's administrator. */
const NAME = 'demo'

/** The part of a running pooler that the demo needs. */
export type DemoPooler = Pick<Pooler, 'addresses' | 'httpAddresses' | 'stop' | 'stopped'>

/** The parts of the demo, so that tests can bring their own. */
export interface DemoParts {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly interrupted: AbortSignal
  write(text: string): void
  findTakenAddress(settings: Settings): Promise<string | null>
  isFree(address: HttpAddress): Promise<boolean>
  startPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres>
  createDemoDatabase(postgres: EmbeddedPostgres, password: string): Promise<void>
  startPooler(settings: Settings): Promise<DemoPooler>
}

export async function runDemo(options: DemoOptions, parts: DemoParts): Promise<number> {
  const { interrupted, write } = parts
  const { password } = options
  // PostgreSQL would take an empty password for none, and a user list has one line for each user.
  if (password !== undefined && !/^[^\r\n]+$/.test(password))
    return fail('--password cannot be empty or have several lines', write)
  // Problems with the settings must be known before anything is started.
  const early = loadDemoSettings(options, parts.env, { host: '127.0.0.1', port: 5432 }, '/')
  if (hasErrors(early.problems)) return refuse(early, write)
  tell(early, write)
  const taken = await parts.findTakenAddress(early.settings)
  if (taken !== null) return explainTakenPort(taken, early.settings, write)

  const http = await demoHttp(parts)
  write('pgweir demo: a temporary PostgreSQL with pgweir in front of it\n')
  let postgres: EmbeddedPostgres
  try {
    postgres = await parts.startPostgres({
      superuser: 'postgres',
      password: randomBytes(18).toString('base64url'),
      abort: interrupted,
      onProgress: (sentence) => write(`  ${sentence}`),
    })
  } catch (error) {
    if (!interrupted.aborted) return fail(error, write)
    write('\n  stopped before it was ready')
    return 0
  }
  try {
    const password = options.password ?? randomBytes(9).toString('base64url')
    await parts.createDemoDatabase(postgres, password)
    const authFile = join(postgres.directory, 'users.txt')
    await writeFile(authFile, `"${NAME}" "${password.replaceAll('"', '""')}"\n`, { mode: 0o600 })
    return await pool(loadDemoSettings(options, parts.env, postgres, authFile, http), postgres, password, parts)
  } finally {
    write('  stopping PostgreSQL and deleting its data')
    await postgres.stop()
  }
}

async function pool(
  loaded: Loaded,
  postgres: EmbeddedPostgres,
  password: string,
  { interrupted, write, startPooler }: DemoParts,
): Promise<number> {
  if (hasErrors(loaded.problems)) return refuse(loaded, write)
  const { settings } = loaded
  let pooler: DemoPooler
  try {
    pooler = await startPooler(settings)
  } catch (error) {
    // Another program may have taken the port since we looked.
    return isAddressInUse(error) && !isAboutHttp(error)
      ? explainTakenPort(settings.general.listen_addr, settings, write)
      : fail(error, write)
  }
  write(welcome(pooler, postgres, settings, password))

  const end = await Promise.race([
    aborted(interrupted).then(() => 'interrupted' as const),
    postgres.ended.then(() => 'postgres-ended' as const),
    pooler.stopped.then(() => 'shut-down' as const),
  ])
  if (end === 'postgres-ended')
    write(
      ['\nPostgreSQL ended unexpectedly. Its last lines were:', ...postgres.log.slice(-SHOWN_LOG_LINES)].join('\n  '),
    )
  write(end === 'shut-down' ? '\n  pgweir was shut down from its console' : '\n  stopping pgweir')
  await pooler.stop()
  return end === 'postgres-ended' ? 1 : 0
}

const SHOWN_LOG_LINES = 10

const HTTP = { host: '127.0.0.1', port: 9127 }

/** Another demo may be running already. Nobody has asked for metrics, so this one does without them. */
async function demoHttp({ isFree }: DemoParts): Promise<string> {
  return (await isFree(HTTP)) ? `${HTTP.host}:${HTTP.port}` : ''
}

function isAboutHttp(error: unknown): boolean {
  return error instanceof Error && /^(http|health)_listen/.test(error.message)
}

/** The demo's own choices replace the defaults: the environment and the command line take precedence. */
function loadDemoSettings(
  { flags }: DemoOptions,
  env: DemoParts['env'],
  postgres: Pick<EmbeddedPostgres, 'host' | 'port'>,
  authFile: string,
  http = '',
): Loaded {
  const choices: Record<string, string> = {
    listen_addr: '127.0.0.1',
    listen_port: '6432',
    pool_mode: 'transaction',
    auth_type: 'scram-sha-256',
    auth_file: authFile,
    admin_users: NAME,
    http_listen: http,
  }
  for (const key of Object.keys(choices)) if (env[environmentName(key)] !== undefined) delete choices[key]
  const server = `host=${postgres.host} port=${postgres.port}`
  return loadSettings({
    flags: { ...choices, ...flags },
    // The demo has one server of its own, whatever this variable is set to for other purposes.
    env: { ...env, PGWEIR_UPSTREAM: undefined },
    databases: [`${NAME} = ${server} dbname=${NAME}`, `* = ${server}`],
  })
}

async function createDemoDatabase(postgres: EmbeddedPostgres, password: string): Promise<void> {
  const { host, port, user } = postgres
  const client = new pg.Client({ host, port, user, password: postgres.password, database: 'postgres' })
  await client.connect()
  try {
    await client.query(`create role ${NAME} login createdb password ${client.escapeLiteral(password)}`)
    await client.query(`create database ${NAME} owner ${NAME}`)
  } finally {
    await client.end()
  }
}

function welcome(pooler: DemoPooler, postgres: EmbeddedPostgres, settings: Settings, password: string): string {
  const { host, port } = pooler.addresses[0] ?? { host: '127.0.0.1', port: settings.general.listen_port }
  const [http] = pooler.httpAddresses
  const page = http && `http://${reachable(http.host)}:${http.port}/`
  const watching = page ? `\n  a live page      ${page}\n  the metrics      curl ${page}metrics` : ''
  const server = `postgres://${NAME}:${encodeURIComponent(password)}@${reachable(host)}:${port}`
  return `
Ready. PostgreSQL ${postgres.version} is pooled in ${settings.general.pool_mode} mode on port ${port}. Copy what you need:

  a session        psql "${server}/${NAME}"
  the console      psql "${server}/pgweir" -c "show pools"
  an application   DATABASE_URL="${server}/${NAME}"${watching}

Press Ctrl-C to stop. This also deletes the data of this PostgreSQL.
`
}

/** Returns an address that a client on this machine can use in a URL. */
function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '*') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}

function fail(error: unknown, write: DemoParts['write']): number {
  if (error instanceof InvariantError) throw error
  write(`\npgweir demo: ${error instanceof Error ? error.message : error}`)
  return 1
}

function refuse(loaded: Loaded, write: DemoParts['write']): number {
  tell(loaded, write)
  return 1
}

function tell({ problems }: Loaded, write: DemoParts['write']): void {
  for (const problem of problems) write(formatProblem(problem))
}

/** Returns an address that is taken; null if all are free. Called before PostgreSQL is started, so that the answer comes at once. */
export async function findTakenAddress({ general }: Settings): Promise<string | null> {
  for (const address of general.listen_addr.split(',').map((text) => text.trim()))
    if (!(await isFree({ host: address, port: general.listen_port }))) return address
  return null
}

/** Whether nobody listens there. Any other problem with the address is left for the pooler to report. */
export async function isFree({ host, port }: HttpAddress): Promise<boolean> {
  const probe = createServer()
  try {
    probe.listen({ port, ...(host === '*' ? {} : { host }) })
    await once(probe, 'listening')
    return true
  } catch (error) {
    return !isAddressInUse(error)
  } finally {
    probe.close()
  }
}

function isAddressInUse(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return ('code' in error && error.code === 'EADDRINUSE') || isAddressInUse(error.cause)
}

function explainTakenPort(address: string, { general }: Settings, write: DemoParts['write']): number {
  const other = general.listen_port < 65_535 ? general.listen_port + 1 : 6432
  write(`pgweir demo: port ${general.listen_port} on ${address} is in use by another program. Choose another port:

  npm start -- demo --listen-port ${other}
  pgweir demo --listen-port ${other}`)
  return 1
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
}
