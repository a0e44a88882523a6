/** SHOW LATENCIES. */

import { type Lengths, quantileMs } from '../../base/histogram.ts'
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
    `${meaning}, that ${part * 100} % did not exceed`,
    (row) => microseconds(quantileMs(lengths(row), part)),
  ])
}

/** null if nothing was measured, or if the quantile is beyond the histogram's last bound. */
function microseconds(ms: number | null): number | null {
  return ms === null || ms === Infinity ? null : Math.round(ms * 1000)
}

export const latencies = topic<LatencySnapshot>({
  help: 'How long clients waited for a server, and queries and transactions took, since the pool began, in the processes that are there. PgBouncer has no such table.',
  rows: async ({ fleet }) => inOrder(await fleet.latencies(), ({ database, user }) => `${database}\0${user}`),
  columns: [
    ['database', 'text', 'database, as clients name it', ({ database }) => database],
    ['user', 'text', 'user that the servers are logged in as', ({ user }) => user],
    ...columnsOf('wait', 'microseconds that a client waited for a server', ({ wait }) => wait),
    ...columnsOf('query', 'microseconds that a query ran', ({ query }) => query),
    ...columnsOf('xact', 'microseconds that a transaction took', ({ transaction }) => transaction),
  ],
})
