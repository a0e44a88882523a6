/** THE table of metrics: each row is a family, what it means, and how it is read. To add a metric, add a row. */

import type { Lengths } from '../base/histogram.ts'
import type { CounterName } from '../pool/averages.ts'
import type { DurationName } from '../pool/tallies.ts'
import { VERSION } from '../version.ts'
import type { DatabaseSnapshot, PoolSnapshot, WorkerSnapshot } from '../workers/fleet.ts'
import type { Snapshot } from './snapshot.ts'

export type Labels = Readonly<Record<string, string>>

/** One of a family: whom it is about, what part of that, and how much. */
export interface Sample {
  readonly of: Labels
  readonly part?: Labels
  readonly value: number | Lengths
}

export interface Family {
  readonly name: string
  /** Of a counter the name ends with `_total`. */
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
  read(now: Snapshot): readonly Sample[]
}

const POOL_LABELS = ['database', 'user']

export const FAMILIES: readonly Family[] = [
  // What is there now
  {
    name: 'pgweir_build_info',
    type: 'gauge',
    help: 'Always 1; the labels tell the version of pgweir and of Node.js.',
    labels: ['version', 'node'],
    read: () => [{ of: { version: VERSION, node: process.versions.node }, value: 1 }],
  },
  poolStates('pgweir_pool_clients', 'Clients that have logged in, by what they do.', ({ clients }) => clients),
  poolStates('pgweir_pool_servers', 'Connections to PostgreSQL, by what they do.', ({ servers }) => servers),
  poolGauge(
    'pgweir_pool_oldest_wait_seconds',
    'How long the client has waited for a server that has waited for longest; 0 while nobody waits.',
    ({ longestWaitUs }) => longestWaitUs / 1e6,
  ),
  databaseGauge('pgweir_database_clients', 'Clients of the database.', ({ clients }) => clients),
  databaseGauge('pgweir_database_servers', 'Servers of the database, all users together.', ({ servers }) => servers),
  databaseGauge(
    'pgweir_database_pool_size',
    'How many servers each pool of the database may have.',
    ({ poolSize }) => poolSize,
  ),
  databaseGauge(
    'pgweir_database_reserve_pool_size',
    'How many servers more when clients have waited for reserve_pool_timeout.',
    ({ reservePoolSize }) => reservePoolSize,
  ),
  databaseGauge(
    'pgweir_database_max_servers',
    'How many servers the database may have, all users together; 0 is no limit.',
    ({ maxServers }) => maxServers,
  ),
  databaseGauge(
    'pgweir_database_max_clients',
    'How many clients the database may have; 0 is no limit.',
    ({ maxClients }) => maxClients,
  ),
  databaseGauge('pgweir_database_paused', '1 while the database is paused.', ({ isPaused }) => Number(isPaused)),
  databaseGauge('pgweir_database_disabled', '1 while the database takes no clients.', ({ isDisabled }) =>
    Number(isDisabled),
  ),

  // What was done
  counter('pgweir_transactions_total', 'Transactions that have ended.', 'transactions'),
  counter('pgweir_queries_total', 'Requests that PostgreSQL has answered.', 'queries'),
  counter('pgweir_leases_total', 'How often a client was given a server.', 'serverAssignments'),
  counter('pgweir_client_logins_total', 'Clients that have logged in.', 'clientLogins'),
  counter('pgweir_received_bytes_total', 'Bytes that came from clients.', 'received'),
  counter('pgweir_sent_bytes_total', 'Bytes that came from servers, for clients.', 'sent'),

  // How long it took
  histogram('pgweir_query_duration_seconds', 'From a request to its answer, without the wait for a server.', 'query'),
  histogram(
    'pgweir_transaction_duration_seconds',
    'From the first request of a transaction to the answer to its last.',
    'transaction',
  ),
  histogram(
    'pgweir_wait_duration_seconds',
    'From a request to the server that serves it; those that got one at once are counted, too.',
    'wait',
  ),

  // The processes
  workerGauge('pgweir_worker_up', 'Always 1; the state of a process that serves clients is a label.', () => 1, [
    'state',
  ]),
  workerGauge('pgweir_worker_clients', 'Connections of clients to the process.', ({ clients }) => clients),
  workerGauge('pgweir_worker_servers', 'Connections to PostgreSQL of the process.', ({ servers }) => servers),
  workerGauge('pgweir_worker_resident_memory_bytes', 'Memory of the process.', ({ residentBytes }) => residentBytes),
  workerCounter('pgweir_worker_cpu_seconds_total', 'CPU time of the process.', ({ cpuUs }) => cpuUs / 1e6),
  workerGauge(
    'pgweir_worker_event_loop_delay_seconds',
    'The longest that the event loop of the process was late in the last second.',
    ({ delayUs }) => delayUs / 1e6,
  ),
]

// Rows of a kind

function poolGauge(name: string, help: string, measure: (pool: PoolSnapshot) => number): Family {
  return {
    ...{ name, help, type: 'gauge', labels: POOL_LABELS },
    read: ({ pools }) => pools.map((pool) => ({ of: poolOf(pool), value: measure(pool) })),
  }
}

function poolStates(
  name: string,
  help: string,
  measures: (pool: PoolSnapshot) => Readonly<Record<string, number>>,
): Family {
  return {
    ...{ name, help, type: 'gauge', labels: [...POOL_LABELS, 'state'] },
    read: ({ pools }) =>
      pools.flatMap((pool) =>
        Object.entries(measures(pool)).map(([state, value]) => ({ of: poolOf(pool), part: partOf(state), value })),
      ),
  }
}

function counter(name: string, help: string, counterName: CounterName): Family {
  return {
    ...{ name, help, type: 'counter', labels: POOL_LABELS },
    read: ({ tallies }) => tallies.map((tally) => ({ of: poolOf(tally), value: tally.totals[counterName] })),
  }
}

function histogram(name: string, help: string, duration: DurationName): Family {
  return {
    ...{ name, help, type: 'histogram', labels: POOL_LABELS },
    read: ({ tallies }) => tallies.map((tally) => ({ of: poolOf(tally), value: tally.durations[duration] })),
  }
}

function databaseGauge(name: string, help: string, measure: (database: DatabaseSnapshot) => number): Family {
  return {
    ...{ name, help, type: 'gauge', labels: ['database'] },
    read: ({ databases }) =>
      databases.map((database) => ({ of: { database: database.name }, value: measure(database) })),
  }
}

function workerGauge(
  name: string,
  help: string,
  measure: (worker: WorkerSnapshot) => number,
  more: readonly 'state'[] = [],
): Family {
  return {
    ...{ name, help, type: 'gauge', labels: ['worker', ...more] },
    read: ({ workers }) =>
      workers.map((worker) => ({
        of: { worker: String(worker.number), ...Object.fromEntries(more.map((label) => [label, worker[label]])) },
        value: measure(worker),
      })),
  }
}

function workerCounter(name: string, help: string, measure: (worker: WorkerSnapshot) => number): Family {
  return { ...workerGauge(name, help, measure), type: 'counter' }
}

// Labels are the same objects at each scrape: their text is made once.

const MAX_KNOWN = 20_000
const known = new Map<string, Labels>()

function poolOf({ database, user }: { readonly database: string; readonly user: string }): Labels {
  return remembered(`${database}\0${user}`, { database, user })
}

function partOf(state: string): Labels {
  return remembered(state, { state })
}

function remembered(key: string, labels: Labels): Labels {
  const found = known.get(key)
  if (found !== undefined) return found
  if (known.size >= MAX_KNOWN) known.clear()
  known.set(key, labels)
  return labels
}
