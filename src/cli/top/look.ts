/** Asks the console for the data that `pgweir top` shows. */

import type { TopRow, TopView } from './screen.ts'

/** Runs a SHOW and resolves to its rows, with all values as text. */
export type Ask = (show: string) => Promise<readonly Readonly<Record<string, string>>[]>

/** The counters at one moment. */
export interface Counted {
  readonly atMs: number
  readonly transactions: number
  readonly queries: number
  readonly received: number
  readonly sent: number
}

export async function look(
  ask: Ask,
  before: Counted | null,
  nowMs: number,
): Promise<{ readonly view: TopView; readonly counted: Counted }> {
  const version = await ask('show version')
  const state = await ask('show state')
  const pools = (await ask('show pools')).filter(isOfClients)
  const latencies = await ask('show latencies')
  const totals = (await ask('show stats_totals')).filter(isOfClients)
  const workers = await ask('show workers')
  const sum = (name: string) => totals.reduce((total, row) => total + Number(row[name] ?? 0), 0)
  const counted: Counted = {
    atMs: nowMs,
    ...{ transactions: sum('xact_count'), queries: sum('query_count') },
    ...{ received: sum('bytes_received'), sent: sum('bytes_sent') },
  }
  const seconds = before === null ? 0 : (nowMs - before.atMs) / 1000
  const rate = (name: Exclude<keyof Counted, 'atMs'>) => Math.max(counted[name] - (before?.[name] ?? 0), 0) / seconds
  const byPool = new Map(latencies.map((row) => [`${row['database']}\0${row['user']}`, row]))
  const view: TopView = {
    version: version[0]?.['version'] ?? 'pgweir',
    state: state.find(({ value }) => value === 'yes')?.['key'] ?? 'active',
    rows: pools.map((row) => rowOf(row, byPool.get(`${row['database']}\0${row['user']}`) ?? {})),
    rates:
      seconds > 0
        ? {
            transactions: rate('transactions'),
            queries: rate('queries'),
            received: rate('received'),
            sent: rate('sent'),
          }
        : null,
    workers: workers.map((row) => ({
      ...{ number: Number(row['worker'] ?? 0), state: row['state'] ?? '' },
      ...{ clients: Number(row['clients'] ?? 0), servers: Number(row['servers'] ?? 0) },
    })),
  }
  return { view, counted }
}

/** Leaves out the console, which counts as a database with us as its client: our own questions are not the pooler's work. */
function isOfClients({ database }: Readonly<Record<string, string>>): boolean {
  return database !== 'pgbouncer'
}

function rowOf(pool: Readonly<Record<string, string>>, latency: Readonly<Record<string, string>>): TopRow {
  const number = (name: string) => Number(pool[name] ?? 0)
  const ms = (name: string) => (latency[name] == null || latency[name] === '' ? null : Number(latency[name]) / 1000)
  return {
    ...{ database: pool['database'] ?? '', user: pool['user'] ?? '', mode: pool['pool_mode'] ?? '' },
    ...{ active: number('cl_active'), waiting: number('cl_waiting') },
    maxWaitMs: number('maxwait') * 1000 + number('maxwait_us') / 1000,
    ...{ serversActive: number('sv_active'), serversIdle: number('sv_idle') + number('sv_used') },
    serversOther: number('sv_tested') + number('sv_login') + number('sv_active_cancel') + number('sv_being_canceled'),
    ...{ queryP50Ms: ms('query_p50_us'), queryP99Ms: ms('query_p99_us'), waitP99Ms: ms('wait_p99_us') },
  }
}
