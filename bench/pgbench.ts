/** Runs pgbench, and reads what it prints and logs. */

import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findProgram } from './child.ts'
import type { Encryption } from './encryption.ts'
import { percentile } from './statistics.ts'

export type QueryMode = 'simple' | 'extended' | 'prepared'

/** What pgbench is to do. */
export interface Load {
  readonly mode: QueryMode
  readonly clients: number
  readonly threads: number
  /** A new connection for each transaction (`-C`). */
  readonly reconnects: boolean
  /** The text of a script to run in place of the built-in SELECT (`-S`). */
  readonly script: string | null
}

export interface Place {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  readonly encryption: Encryption
}

export interface Summary {
  readonly transactions: number
  readonly failed: number
  readonly perSecond: number
}

export interface Latencies {
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  /** How much longer the slowest transactions take than typical ones. */
  readonly p99ToP50: number
}

/** What `--log` reports about each transaction, in no particular order. */
export interface TransactionLog {
  /** When it ended, in milliseconds since 1970. */
  readonly endMs: Float64Array
  readonly timeUs: Float64Array
}

export interface PgbenchRun {
  readonly summary: Summary
  readonly log: TransactionLog
}

/** Returns the pgbench on PATH, or in a directory that Debian does not link from there; null if there is none. */
export function findPgbench(): string | null {
  return findProgram(
    'pgbench',
    ['18', '17', '16', '15'].map((major) => `/usr/lib/postgresql/${major}/bin`),
  )
}

/** Returns the arguments that say what to do, without where and for how long. */
export function loadArguments({ mode, clients, threads, reconnects }: Load): string[] {
  return ['-n', '-M', mode, '-c', String(clients), '-j', String(threads), ...(reconnects ? ['-C'] : [])]
}

export async function runPgbench(load: Load, seconds: number, place: Place, directory: string): Promise<PgbenchRun> {
  const files = await mkdtemp(join(directory, 'pgbench-'))
  const script = join(files, 'script.sql')
  if (load.script !== null) await writeFile(script, load.script)
  const what = load.script === null ? ['-S'] : ['-f', script]
  const logging = ['--log', `--log-prefix=${join(files, 'log')}`]
  const output = await pgbench([...what, ...loadArguments(load), '-T', String(seconds), ...logging], place)
  const logs = (await readdir(files)).filter((name) => name.startsWith('log'))
  const texts = await Promise.all(logs.map((name) => readFile(join(files, name), 'latin1')))
  await rm(files, { recursive: true })
  return { summary: parseSummary(output), log: parseLog(texts.join('')) }
}

/** Creates and fills pgbench's tables, with 100,000 rows per unit of `scale`. */
export async function createTables(place: Place, scale: number): Promise<void> {
  await pgbench(['-i', '-q', '-s', String(scale)], place)
}

async function pgbench(
  args: readonly string[],
  { host, port, user, password, database, encryption }: Place,
): Promise<string> {
  const where = ['-h', host, '-p', String(port), '-U', user, database]
  const { PATH } = process.env
  const env = {
    PATH,
    LC_ALL: 'C',
    PGPASSWORD: password,
    PGSSLMODE: encryption === 'none' ? 'disable' : 'require',
    PGGSSENCMODE: 'disable',
  }
  const program = findPgbench() ?? 'pgbench'
  const { stdout } = await promisify(execFile)(program, [...args, ...where], { env, maxBuffer: 64 * 1024 * 1024 })
  return stdout
}

/** Parses the summary that pgbench prints at the end. */
export function parseSummary(output: string): Summary {
  const transactions = numberAfter(output, /^number of transactions actually processed: (\d+)/m)
  const perSecond = numberAfter(output, /^tps = ([\d.]+)/m)
  if (transactions === null || perSecond === null) throw new Error(`pgbench printed no result: ${output}`)
  return { transactions, perSecond, failed: numberAfter(output, /^number of failed transactions: (\d+)/m) ?? 0 }
}

function numberAfter(text: string, pattern: RegExp): number | null {
  const found = pattern.exec(text)
  return found ? Number(found[1]) : null
}

/**
 * Parses a log. The third field of each line is the duration of the transaction in microseconds, or a word if it failed. The fifth and sixth are
 * the time when it ended, in seconds and microseconds.
 */
export function parseLog(text: string): TransactionLog {
  const ends: number[] = []
  const times: number[] = []
  for (const line of text.split('\n')) {
    const [, , time, , seconds, microseconds] = line.split(' ', 6)
    const timeUs = Number(time)
    if (time === undefined || Number.isNaN(timeUs)) continue
    times.push(timeUs)
    ends.push(Number(seconds) * 1_000 + Number(microseconds) / 1_000)
  }
  return { endMs: Float64Array.from(ends), timeUs: Float64Array.from(times) }
}

export function latencies({ timeUs }: Pick<TransactionLog, 'timeUs'>): Latencies {
  const sorted = timeUs.toSorted()
  const [p50Ms = 0, p95Ms = 0, p99Ms = 0] = [0.5, 0.95, 0.99].map((share) => percentile(sorted, share) / 1000)
  return { p50Ms, p95Ms, p99Ms, p99ToP50: p99Ms / p50Ms }
}
