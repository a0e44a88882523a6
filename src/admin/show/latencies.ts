/** SHOW LATENCIES. */

import { type Lengths, LONGEST_MS, quantileMs } from '../../base/histogram.ts'
import type { LatencySnapshot } from '../../workers/fleet.ts'
import { inOrder, type ShownColumn, topic } from './topic.ts'

const QUANTILES = [
  ['p50', 0.5],
  ['p95', 0.95],
  ['p99', 0.99],
] as const

function columnsOf(
  name: string,
  meaning: string,
  lengths: (row: LatencySnapshot) => Lengths,
): ShownColumn<LatencySnapshot>[] {
  return QUANTILES.map(([quantile, part]) => [
    `${name}_${quantile}_us`,
    'int8',
    `${part * 100}th percentile of the time that ${meaning}, in microseconds`,
    (row) => microseconds(quantileMs(lengths(row), part)),
  ])
}

/** null if nothing was measured. */
function microseconds(ms: number | null): number | null {
  return ms === null ? null : Math.round(Math.min(ms, LONGEST_MS) * 1000)
}

export const latencies = topic<LatencySnapshot>({
  help: 'How long clients waited for a server, and how long queries and transactions took, since the pool was created, in the processes that run now. More than a minute is shown as a minute. Not in PgBouncer.',
  rows: async ({ fleet }) => inOrder(await fleet.latencies(), ({ database, user }) => `${database}\0${user}`),
  columns: [
    ['database', 'text', 'database, by the name that clients use', ({ database }) => database],
    ['user', 'text', 'user that the servers log in as', ({ user }) => user],
    ...columnsOf('wait', 'clients waited for a server', ({ wait }) => wait),
    ...columnsOf('query', 'queries ran', ({ query }) => query),
    ...columnsOf('xact', 'transactions took', ({ transaction }) => transaction),
  ],
})
