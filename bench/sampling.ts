/** CPU time per transaction, measured while all clients are at work: connecting and leaving do not count. */

import type { TransactionLog } from './pgbench.ts'
import { type CpuTime, cpuTimeOf, residentKibOf } from './process-figures.ts'

export interface Sample {
  /** In milliseconds since 1970. */
  readonly atMs: number
  readonly pooler: CpuTime
  readonly postgres: CpuTime
  readonly residentKib: number
}

export interface Cost {
  readonly userUs: number
  readonly systemUs: number
  readonly cpuUs: number
  /** The CPU time of PostgreSQL itself per transaction. */
  readonly postgresUs: number
  /** The pooler's CPU time divided by PostgreSQL's: both are measured on the same machine, under the same conditions, at the same moment. */
  readonly cpuToPostgres: number
  readonly residentMib: number
}

const SAMPLE_MS = 200

/** Samples the processes at intervals while `work` runs. */
export async function sampleDuring(
  { pooler, postgres }: { readonly pooler: number; readonly postgres: number },
  work: Promise<unknown>,
): Promise<Sample[]> {
  const samples: Sample[] = []
  const timer = setInterval(() => {
    samples.push({
      atMs: performance.timeOrigin + performance.now(),
      pooler: cpuTimeOf(pooler),
      postgres: cpuTimeOf(postgres),
      residentKib: residentKibOf(pooler),
    })
  }, SAMPLE_MS)
  try {
    await work
  } finally {
    clearInterval(timer)
  }
  return samples
}

/**
 * Computes the cost from the first and the last sample between the first and the last end of a transaction, and from the transactions between
 * those samples.
 */
export function costOf(samples: readonly Sample[], { endMs }: Pick<TransactionLog, 'endMs'>): Cost {
  const begin = endMs.reduce((least, ms) => Math.min(least, ms), Infinity)
  const end = endMs.reduce((most, ms) => Math.max(most, ms), -Infinity)
  const within = samples.filter(({ atMs }) => atMs >= begin && atMs <= end)
  const [first, last] = [within[0], within.at(-1)]
  if (!first || !last || first === last) throw new Error('the run was too short to tell the CPU time of a transaction')
  const transactions = endMs.filter((ms) => ms > first.atMs && ms <= last.atMs).length
  const perTransaction = (ms: number) => (ms * 1000) / transactions
  const userUs = perTransaction(last.pooler.userMs - first.pooler.userMs)
  const systemUs = perTransaction(last.pooler.systemMs - first.pooler.systemMs)
  const postgresUs = perTransaction(totalMs(last.postgres) - totalMs(first.postgres))
  const cpuUs = userUs + systemUs
  return {
    ...{ userUs, systemUs, cpuUs, postgresUs },
    cpuToPostgres: cpuUs / postgresUs,
    residentMib: last.residentKib / 1024,
  }
}

function totalMs({ userMs, systemMs }: CpuTime): number {
  return userMs + systemMs
}
