/** CPU time per transaction over the stretch in which all clients were at work: connecting and leaving do not count. */

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
  /** What PostgreSQL itself needed for a transaction. */
  readonly postgresUs: number
  /** The pooler's share in times of PostgreSQL's: the same machine and the same weather, to the moment. */
  readonly cpuToPostgres: number
  readonly residentMib: number
}

const SAMPLE_MS = 200

/** Looks at the processes now and then while `work` goes on. */
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

/** Takes the first and the last sample that lie between the ends of transactions, and the transactions between those. */
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
