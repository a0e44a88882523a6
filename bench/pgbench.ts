/** Runs pgbench, and reads what it prints and logs. */

import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { percentile } from './statistics.ts'

export type QueryMode = 'simple' | 'extended' | 'prepared'

/** What pgbench is to do. */
export interface Load {
  readonly mode: QueryMode
  readonly clients: number
  readonly threads: number
  /** A new connection for each transaction (`-C`). */
  readonly reconnects: boolean
}

export interface Place {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
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
}

/** The arguments that say what is done, without where and for how long. */
export function loadArguments({ mode, clients, threads, reconnects }: Load): string[] {
  return ['-n', '-S', '-M', mode, '-c', String(clients), '-j', String(threads), ...(reconnects ? ['-C'] : [])]
}

export async function runPgbench(load: Load, seconds: number, place: Place, directory: string) {
  const logs = await mkdtemp(join(directory, 'pgbench-'))
  const logging = ['--log', `--log-prefix=${join(logs, 'log')}`]
  const output = await pgbench([...loadArguments(load), '-T', String(seconds), ...logging], place)
  const texts = await Promise.all((await readdir(logs)).map((name) => readFile(join(logs, name), 'latin1')))
  await rm(logs, { recursive: true })
  return { summary: parseSummary(output), latencies: latencies(parseLog(texts.join(''))) }
}

/** Creates and fills pgbench's tables, with 100,000 rows per unit of `scale`. */
export async function createTables(place: Place, scale: number): Promise<void> {
  await pgbench(['-i', '-q', '-s', String(scale)], place)
}

async function pgbench(args: readonly string[], { host, port, user, password, database }: Place): Promise<string> {
  const where = ['-h', host, '-p', String(port), '-U', user, database]
  const { PATH } = process.env
  const env = { PATH, LC_ALL: 'C', PGPASSWORD: password, PGSSLMODE: 'disable', PGGSSENCMODE: 'disable' }
  const { stdout } = await promisify(execFile)('pgbench', [...args, ...where], { env, maxBuffer: 64 * 1024 * 1024 })
  return stdout
}

/** What pgbench prints at the end. */
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

/** The third field of each line of a log is what a transaction took, in microseconds; or a word if it failed. */
export function parseLog(text: string): Float64Array {
  const times: number[] = []
  for (const line of text.split('\n')) {
    const us = Number(line.split(' ', 3)[2])
    if (!Number.isNaN(us)) times.push(us)
  }
  return Float64Array.from(times)
}

export function latencies(timesUs: Float64Array): Latencies {
  const sorted = timesUs.toSorted()
  const [p50Ms = 0, p95Ms = 0, p99Ms = 0] = [0.5, 0.95, 0.99].map((share) => percentile(sorted, share) / 1000)
  return { p50Ms, p95Ms, p99Ms }
}
