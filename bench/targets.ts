/** What is measured side by side: PostgreSQL directly, pgweir, and PgBouncer, each a process of its own, with the same settings. */

import { execFile } from 'node:child_process'
import { chmod, mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { chooseOwner } from '../src/embedded/owner.ts'
import { findFreePort, findProgram, startOnPort } from './child.ts'
import type { Place } from './pgbench.ts'
import type { Account, BenchPostgres, Login } from './postgres.ts'

export const TARGET_NAMES = ['direct', 'pgweir', 'pgbouncer'] as const

export type TargetName = (typeof TARGET_NAMES)[number]

/** Servers that each pooler may have; as many for all of them. */
export const POOL_SIZE = 20

export interface Target {
  readonly name: TargetName
  readonly place: Place
  /** Of the pooler; null where there is none. */
  readonly pid: number | null
  stop(): Promise<void>
}

export interface Programs {
  /** What pgweir runs under. */
  readonly node: string
  /** More arguments of node. */
  readonly nodeArguments: readonly string[]
  readonly pgbouncer: Pgbouncer | null
}

export interface Pgbouncer {
  readonly path: string
  readonly version: string
}

export interface TargetOptions {
  readonly login: Login
  readonly postgres: BenchPostgres
  readonly programs: Programs
  /** Everybody may look into it. */
  readonly directory: string
}

const MAX_CLIENTS = 10_000

/** `dist-bench/bench/targets.js` is three below the top. */
const PGWEIR = fileURLToPath(new URL('../../bin/pgweir.js', import.meta.url))

export async function startTarget(name: TargetName, options: TargetOptions): Promise<Target> {
  const { login, postgres, programs } = options
  const { user, password } = postgres.accounts[login]
  const { host, database } = postgres
  if (name === 'direct')
    return { name, place: { host, port: postgres.port, user, password, database }, pid: null, stop: async () => {} }
  const port = await findFreePort()
  const iniFile = await writeConfiguration(name, options, port)
  const child =
    name === 'pgweir'
      ? await startOnPort(programs.node, [...programs.nodeArguments, PGWEIR, iniFile], port)
      : // It refuses to run as root.
        await startOnPort(programs.pgbouncer?.path ?? 'pgbouncer', [iniFile], port, { ids: chooseOwner()?.ids })
  return { name, place: { host: '127.0.0.1', port, user, password, database }, pid: child.pid, stop: child.stop }
}

async function writeConfiguration(name: TargetName, options: TargetOptions, port: number): Promise<string> {
  const { login, postgres, programs } = options
  const directory = await mkdtemp(join(options.directory, 'pooler-'))
  await chmod(directory, 0o755)
  const authFile = join(directory, 'users.txt')
  await writeFile(authFile, userFile(Object.values(postgres.accounts)))
  const iniFile = join(directory, 'pooler.ini')
  const knowsStatements = name === 'pgweir' || hasPreparedStatements(programs.pgbouncer?.version ?? '')
  await writeFile(iniFile, iniText({ login, port, authFile, knowsStatements, server: postgres }))
  return iniFile
}

function userFile(accounts: readonly Account[]): string {
  return accounts.map(({ user, secret }) => `"${user}" "${secret}"\n`).join('')
}

export interface IniOptions {
  readonly login: Login
  readonly port: number
  readonly authFile: string
  /** An older PgBouncer does not start if it meets a setting that it does not know. */
  readonly knowsStatements: boolean
  readonly server: Pick<BenchPostgres, 'host' | 'port' | 'database'>
}

/** The same file for both poolers. */
export function iniText({ login, port, authFile, knowsStatements, server }: IniOptions): string {
  return `[databases]
${server.database} = host=${server.host} port=${server.port} dbname=${server.database}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = ${login === 'trust' ? 'trust' : 'scram-sha-256'}
auth_file = ${authFile}
pool_mode = transaction
default_pool_size = ${POOL_SIZE}
max_client_conn = ${MAX_CLIENTS}
log_connections = 0
log_disconnections = 0
log_stats = 0
${knowsStatements ? 'max_prepared_statements = 200\n' : ''}`
}

/** The one on PATH, or null. */
export async function findPgbouncer(): Promise<Pgbouncer | null> {
  const path = findProgram('pgbouncer')
  if (path === null) return null
  const { stdout } = await promisify(execFile)(path, ['--version'])
  return { path, version: /^PgBouncer (\S+)/i.exec(stdout)?.[1] ?? 'of an unknown version' }
}

/** It follows named statements in transaction mode since 1.21. */
export function hasPreparedStatements(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 1 || (major === 1 && minor >= 21)
}
