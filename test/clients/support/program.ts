/** Runs client programs from Debian's packages, with an environment for tests and a time limit. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { TestDatabase } from '../../support/postgres.ts'

/** Absolute paths, since a Python or Ruby that the user has installed lacks Debian's packages. */
const PROGRAMS = {
  psql: { path: '/usr/bin/psql', from: 'postgresql-client' },
  pgbench: { path: '/usr/bin/pgbench', from: 'postgresql-contrib' },
  pg_isready: { path: '/usr/bin/pg_isready', from: 'postgresql-client' },
  pg_basebackup: { path: '/usr/lib/postgresql/15/bin/pg_basebackup', from: 'postgresql-client-15' },
  pg_receivewal: { path: '/usr/lib/postgresql/15/bin/pg_receivewal', from: 'postgresql-client-15' },
  pg_recvlogical: { path: '/usr/lib/postgresql/15/bin/pg_recvlogical', from: 'postgresql-client-15' },
  pg_verifybackup: { path: '/usr/lib/postgresql/15/bin/pg_verifybackup', from: 'postgresql-client-15' },
  python: { path: '/usr/bin/python3', from: 'python3' },
  php: { path: '/usr/bin/php', from: 'php-cli' },
  perl: { path: '/usr/bin/perl', from: 'perl' },
  ruby: { path: '/usr/bin/ruby', from: 'ruby' },
  java: { path: '/usr/bin/java', from: 'default-jdk-headless' },
  node: { path: process.execPath, from: 'nodejs' },
  npm: { path: whereIs('npm'), from: 'npm' },
} as const

/** Finds a program in PATH, for those that may not come from Debian's packages. */
function whereIs(program: string): string {
  const places = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, program))
  return places.find((place) => existsSync(place)) ?? program
}

export type ProgramName = keyof typeof PROGRAMS

/** The server that a program connects to: PostgreSQL itself, or pgweir in front of it. */
export type Target = Pick<TestDatabase, 'host' | 'port' | 'database' | 'user' | 'password'>

export interface RunOptions {
  /** The program's input. null: its standard input stays open, for the test to write to. */
  readonly stdin?: string | null
  readonly env?: Readonly<Record<string, string>>
  /** The working directory; `test/clients` by default. */
  readonly cwd?: string
  readonly timeoutMs?: number
}

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const TIMEOUT_MS = 60_000

const HERE = fileURLToPath(new URL('..', import.meta.url))

/** Runs a program to its end, with the server in libpq's environment variables. */
export async function run(
  name: ProgramName,
  args: readonly string[],
  target: Target,
  options: RunOptions = {},
): Promise<Outcome> {
  return (await start(name, args, target, options)).outcome
}

export interface Running {
  readonly process: ChildProcessWithoutNullStreams
  readonly outcome: Promise<Outcome>
  /** Returns its standard output so far. */
  said(): string
}

/** Starts a program like `run`, for tests that do something while it runs. */
export async function start(
  name: ProgramName,
  args: readonly string[],
  target: Target,
  { stdin = '', env = {}, cwd = HERE, timeoutMs = TIMEOUT_MS }: RunOptions = {},
): Promise<Running> {
  const { path, from } = PROGRAMS[name]
  try {
    accessSync(path, constants.X_OK)
  } catch (cause) {
    throw new Error(`there is no ${path} here; .ci/run installs it with Debian's package ${from}`, { cause })
  }
  const child = spawn(path, args, { cwd, env: { ...surroundings(target), ...env }, stdio: 'pipe' })
  // A program that ends without reading all of its input is judged by its output, not by our broken pipe.
  child.stdin.on('error', () => {})
  if (stdin !== null) child.stdin.end(stdin)
  const impatience = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve(code))
  })
  let stdout = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    stdout += part
  })
  const outcome = Promise.all([ended, text(child.stderr)])
    .then(([code, stderr]) => ({ code, stdout, stderr }))
    .finally(() => clearTimeout(impatience))
  return { process: child, outcome, said: () => stdout }
}

/** The environment, without anything of the user's: no psqlrc, no passwords, no locale. */
function surroundings({ host, port, database, user, password }: Target): Record<string, string> {
  return {
    PATH: '/usr/bin:/bin',
    HOME: tmpdir(),
    LANG: 'C.UTF-8',
    TZ: 'UTC',
    PYTHONDONTWRITEBYTECODE: '1',
    // Otherwise a script with the name of a Python module would hide that module.
    PYTHONSAFEPATH: '1',
    PGHOST: host,
    PGPORT: String(port),
    PGDATABASE: database,
    PGUSER: user,
    PGPASSWORD: password,
    PGCONNECT_TIMEOUT: '20',
  }
}
