/** What is measured side by side: PostgreSQL directly, pgweir, and PgBouncer, each a process of its own, with the same settings. */

import { execFile } from 'node:child_process'
import { chmod, mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { chooseOwner } from '../src/embedded/owner.ts'
import { type Build, type Manner, mannerSettings } from './build.ts'
import { type Child, findFreePort, findProgram, startOnPort } from './child.ts'
import { type Encryption, encryptionSettings } from './encryption.ts'
import type { Place } from './pgbench.ts'
import type { Account, BenchPostgres, Login } from './postgres.ts'

/** `baseline` is another build of pgweir. */
export type TargetName = 'direct' | 'baseline' | 'pgweir' | 'pgbouncer'

/** The transports of pgweir. */
export type TransportName = 'epoll' | 'node'

/** How many servers each pooler may have; the same for all. */
export const POOL_SIZE = 20

export interface Target {
  readonly name: TargetName
  readonly place: Place
  /** The pid of the pooler's first process; null without a pooler. */
  readonly pid: number | null
  stop(): Promise<void>
}

export interface Programs {
  /** The node program that runs pgweir. */
  readonly node: string
  /** Additional arguments for node. */
  readonly nodeArguments: readonly string[]
  readonly pgweir: Build
  readonly baseline: Build | null
  readonly pgbouncer: Pgbouncer | null
}

export interface Pgbouncer {
  readonly path: string
  readonly version: string
}

export interface TargetOptions {
  readonly login: Login
  readonly encryption: Encryption
  readonly postgres: BenchPostgres
  readonly programs: Programs
  readonly manner: Manner
  /** Settings of pgweir alone, in addition to its manner. */
  readonly settings: Readonly<Record<string, string>>
  /** A directory that everybody may read. */
  readonly directory: string
}

const MAX_CLIENTS = 12_000

/** Room for a thousand clients that connect at the same time. */
const BACKLOG = 1_024

export async function startTarget(name: TargetName, options: TargetOptions): Promise<Target> {
  const { login, encryption, postgres, programs, manner } = options
  const { user, password } = postgres.accounts[login]
  const { host, database } = postgres
  if (name === 'direct')
    return {
      name,
      place: { host, port: postgres.port, user, password, database, encryption },
      pid: null,
      stop: async () => {},
    }
  const port = await findFreePort()
  const child = name === 'pgbouncer' ? await startPgbouncer() : await startPgweir(buildOf(name, programs))
  return {
    name,
    place: { host: '127.0.0.1', port, user, password, database, encryption },
    pid: child.pid,
    stop: child.stop,
  }

  async function startPgweir(build: Build): Promise<Child> {
    const settings = { ...STATEMENTS, ...mannerSettings(manner, build.settings), ...options.settings }
    const iniFile = await writeConfiguration(options, port, settings)
    return startOnPort(programs.node, [...programs.nodeArguments, join(build.root, 'bin', 'pgweir.js'), iniFile], port)
  }

  async function startPgbouncer(): Promise<Child> {
    const { path, version } = programs.pgbouncer as Pgbouncer
    // An older build does not start with a setting that it does not know.
    const iniFile = await writeConfiguration(options, port, hasPreparedStatements(version) ? STATEMENTS : {})
    // PgBouncer refuses to run as root.
    return startOnPort(path, [iniFile], port, { ids: chooseOwner()?.ids })
  }
}

const STATEMENTS = { max_prepared_statements: '200' }

function buildOf(name: 'pgweir' | 'baseline', { pgweir, baseline }: Programs): Build {
  return name === 'baseline' && baseline !== null ? baseline : pgweir
}

async function writeConfiguration(
  options: TargetOptions,
  port: number,
  settings: Readonly<Record<string, string>>,
): Promise<string> {
  const { login, encryption, postgres } = options
  const directory = await mkdtemp(join(options.directory, 'pooler-'))
  await chmod(directory, 0o755)
  const authFile = join(directory, 'users.txt')
  await writeFile(authFile, userFile(Object.values(postgres.accounts)))
  const iniFile = join(directory, 'pooler.ini')
  await writeFile(
    iniFile,
    iniText({
      ...{ login, port, authFile, server: postgres },
      settings: { ...encryptionSettings(encryption, postgres.keys), ...settings },
    }),
  )
  return iniFile
}

function userFile(accounts: readonly Account[]): string {
  return accounts.map(({ user, secret }) => `"${user}" "${secret}"\n`).join('')
}

export interface IniOptions {
  readonly login: Login
  readonly port: number
  readonly authFile: string
  /** Settings of one pooler that the other does not have. */
  readonly settings: Readonly<Record<string, string>>
  readonly server: Pick<BenchPostgres, 'host' | 'port' | 'database' | 'accounts'>
}

/** Returns an ini file that serves both poolers. */
export function iniText({ login, port, authFile, settings, server }: IniOptions): string {
  return `[databases]
${server.database} = host=${server.host} port=${server.port} dbname=${server.database}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
listen_backlog = ${BACKLOG}
unix_socket_dir =
auth_type = ${login === 'trust' ? 'trust' : 'scram-sha-256'}
auth_file = ${authFile}
stats_users = ${server.accounts[login].user}
pool_mode = transaction
default_pool_size = ${POOL_SIZE}
max_client_conn = ${MAX_CLIENTS}
log_connections = 0
log_disconnections = 0
log_stats = 0
${Object.entries(settings)
  .map(([key, value]) => `${key} = ${value}\n`)
  .join('')}`
}

/** Returns the pgbouncer on PATH, or where Debian installs it; null if there is none. */
export async function findPgbouncer(): Promise<Pgbouncer | null> {
  const path = findProgram('pgbouncer', ['/usr/sbin'])
  if (path === null) return null
  const { stdout } = await promisify(execFile)(path, ['--version'])
  return { path, version: /^PgBouncer (\S+)/i.exec(stdout)?.[1] ?? 'of an unknown version' }
}

/** PgBouncer has supported named statements in transaction mode since 1.21. */
export function hasPreparedStatements(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 1 || (major === 1 && minor >= 21)
}
