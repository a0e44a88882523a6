/** SHOW STATS, STATS_TOTALS, STATS_AVERAGES and TOTALS: the same counters as totals, as averages, or both. */

import { averagesOf, type CounterName, sumOf, type Totals } from '../../pool/averages.ts'
import { CONSOLE_NAME, type DatabaseStats } from '../../workers/fleet.ts'
import type { ConsoleContext } from '../answer.ts'
import { inOrder, type ShownColumn, topic } from './topic.ts'

interface StatRow {
  readonly counter: CounterName
  /** The names in SHOW STATS, without the prefixes `total_` and `avg_`. */
  readonly total: string
  readonly average: string
  /** The names in SHOW STATS_TOTALS and SHOW STATS_AVERAGES. */
  readonly inTotals: string
  readonly inAverages: string
  /** The name in SHOW TOTALS, without the prefix. */
  readonly inSum: string
  readonly meaning: string
  /** The unit that the average is taken over. */
  readonly per: string
}

/** PgBouncer's names do not all follow one pattern, but tools rely on each of them. */
const STATS: readonly StatRow[] = [
  stat('serverAssignments', 'server_assignment_count', 'times that a client got a server'),
  stat('transactions', 'xact_count', 'transactions'),
  stat('queries', 'query_count', 'queries'),
  {
    ...stat('received', 'received', 'bytes from clients'),
    average: 'recv',
    inTotals: 'bytes_received',
    inAverages: 'bytes_received',
    inSum: 'client_bytes',
  },
  {
    ...stat('sent', 'sent', 'bytes to clients'),
    inTotals: 'bytes_sent',
    inAverages: 'bytes_sent',
    inSum: 'server_bytes',
  },
  { ...stat('transactionUs', 'xact_time', 'microseconds that clients spent in transactions'), per: 'transaction' },
  { ...stat('queryUs', 'query_time', 'microseconds that queries ran'), per: 'query' },
  { ...stat('waitUs', 'wait_time', 'microseconds that clients waited for a server'), per: 'server assignment' },
  preparing('clientParses', 'client_parse_count', 'prepared statements that clients requested'),
  preparing('serverParses', 'server_parse_count', 'prepared statements that servers prepared'),
  preparing('binds', 'bind_count', 'uses of prepared statements'),
  { ...preparing('clientLogins', 'client_login_count', 'logins of clients'), inSum: 'client_login_count' },
]

function stat(counter: CounterName, name: string, meaning: string): StatRow {
  return {
    counter,
    total: name,
    average: name,
    inTotals: name,
    inAverages: name,
    inSum: name,
    meaning,
    per: 'second',
  }
}

function preparing(counter: CounterName, name: string, meaning: string): StatRow {
  return { ...stat(counter, name, meaning), inAverages: `avg_${name}`, inSum: `ps_${name}` }
}

const databaseColumn: ShownColumn<DatabaseStats> = ['database', 'text', 'database', ({ database }) => database]

function totalColumn(name: string, { counter, meaning }: StatRow): ShownColumn<DatabaseStats> {
  return [name, 'numeric', `${meaning}, since the start`, ({ totals }) => Math.floor(totals[counter])]
}

function averageColumn(name: string, { counter, meaning, per }: StatRow): ShownColumn<DatabaseStats> {
  return [name, 'numeric', `${meaning}, per ${per}`, ({ recent }) => averagesOf(recent)[counter]]
}

const byDatabase = async ({ fleet }: ConsoleContext) => inOrder(await fleet.stats(), ({ database }) => database)

const AVERAGES =
  'Averages cover the time from the beginning of the last complete stats_period until now. They are per second; times are per event.'

export const stats = topic<DatabaseStats>({
  help: `The work of each database, for all its pools together. ${AVERAGES}`,
  rows: byDatabase,
  columns: [
    databaseColumn,
    ...STATS.map((row) => totalColumn(`total_${row.total}`, row)),
    ...STATS.map((row) => averageColumn(`avg_${row.average}`, row)),
  ],
})

export const statsTotals = topic<DatabaseStats>({
  help: 'The totals of SHOW STATS.',
  rows: byDatabase,
  columns: [databaseColumn, ...STATS.map((row) => totalColumn(row.inTotals, row))],
})

export const statsAverages = topic<DatabaseStats>({
  help: 'The averages of SHOW STATS.',
  rows: byDatabase,
  columns: [databaseColumn, ...STATS.map((row) => averageColumn(row.inAverages, row))],
})

interface Sum {
  readonly name: string
  readonly value: number
}

export const totals = topic<Sum>({
  help: 'The figures of SHOW STATS for all databases together, without the console, one per row.',
  rows: async ({ fleet }) => {
    // Commands on the console take no server and no time. Tools that ask for figures often would lower the averages by asking.
    const all = (await fleet.stats()).filter(({ database }) => database !== CONSOLE_NAME)
    const recent = { ms: all[0]?.recent.ms ?? 0, totals: sumOf(all.map((one) => one.recent.totals)) }
    return [...sums('total_', sumOf(all.map((one) => one.totals))), ...sums('avg_', averagesOf(recent))]
  },
  columns: [
    ['name', 'text', 'name of the figure', ({ name }) => name],
    ['value', 'numeric', 'value', ({ value }) => Math.floor(value)],
  ],
})

function sums(prefix: string, values: Totals): Sum[] {
  return STATS.map(({ inSum, counter }) => ({ name: `${prefix}${inSum}`, value: values[counter] }))
}
