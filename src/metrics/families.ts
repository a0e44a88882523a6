/** THE table of metrics: each row is a family with its meaning and the function that reads it. To add a metric, add a row. */

import type { Lengths } from '../base/histogram.ts'
import type { CounterName } from '../pool/averages.ts'
import type { DurationName } from '../pool/counters.ts'
import { partsOf } from '../pool/error-counts.ts'
import { OTHER } from '../pool/tallies.ts'
import type { ProcessCount } from '../workers/accounts.ts'
import type { DatabaseSnapshot, PoolSnapshot, WorkerSnapshot } from '../workers/fleet.ts'
import { healthOf } from '../workers/health.ts'
import type { Limits, Snapshot } from './snapshot.ts'

export type Labels = Readonly<Record<string, string>>

/** One sample of a family: the labels of what it is about, optional labels for a part of that, and the value. */
export interface Sample {
  readonly of: Labels
  readonly part?: Labels
  readonly value: number | Lengths
}

export interface Family {
  readonly name: string
  /** The name of a counter ends with `_total`. */
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
  read(now: Snapshot): readonly Sample[]
}

const WORKER_STATES = [
  'starting',
  'serving',
  'draining',
  'stopping',
  'silent',
] as const satisfies readonly WorkerSnapshot['state'][]

const POOL_LABELS = ['database', 'user']

export const FAMILIES: readonly Family[] = [
  // The current state
  {
    name: 'pgweir_build_info',
    type: 'gauge',
    help: 'Always 1; the labels are the versions of pgweir and of Node.js.',
    labels: ['version', 'node'],
    read: ({ version }) => [{ of: { version, node: process.versions.node }, value: 1 }],
  },
  gauge('pgweir_ready', '1 while /readyz says that clients should be sent to this pgweir.', (now) =>
    Number(healthOf(now.circumstances) === 'ready'),
  ),
  gauge('pgweir_paused', '1 while everything is paused.', ({ circumstances }) => Number(circumstances.isPaused)),
  gauge(
    'pgweir_client_connections',
    'Connections from clients, including those that are logging in and those to the console.',
    ({ vitals }) => vitals.connections,
  ),
  gauge(
    'pgweir_clients_logging_in',
    'Connections from clients that have not logged in yet.',
    ({ vitals }) => vitals.loggingIn,
  ),
  gauge('pgweir_max_client_connections', 'The setting max_client_conn.', ({ limits }) => limits.maxClients),
  {
    name: 'pgweir_tls_certificate_expiry_timestamp_seconds',
    type: 'gauge',
    help: 'When a certificate file expires, in seconds since 1970: a certificate chain when its first certificate expires, a file of authorities (`…_ca_file`) when its last one expires. `file` is the setting that names the file: `client_tls_cert_file` has the certificate presented to clients, `server_tls_ca_file` the authorities that servers are verified with.',
    labels: ['file'],
    read: ({ vitals }) =>
      Object.entries(vitals.certificates).map(([file, at]) => ({ of: fileOf(file), value: at / 1000 })),
  },
  poolStates(
    'pgweir_pool_clients',
    'Clients that have logged in: `active` clients hold a server, `waiting` clients are queued for one, `idle` clients are neither.',
    ({ clients }) => clients,
  ),
  poolStates(
    'pgweir_pool_servers',
    'Connections to PostgreSQL, by the states of SHOW SERVERS.',
    ({ servers }) => servers,
  ),
  poolGauge(
    'pgweir_pool_max_servers',
    'Maximum number of servers of the pool, for all processes together and without the reserve; 0 is no limit. Also 0 for the pools counted as `other`.',
    ({ maxServers }) => maxServers,
  ),
  poolGauge(
    'pgweir_pool_permits',
    'Permits in use, for all processes together. Each is for one server, from the attempt to connect until its PostgreSQL process has ended.',
    ({ permits }) => permits,
  ),
  poolGauge(
    'pgweir_pool_oldest_wait_seconds',
    'Waiting time of the client that has waited longest for a server; 0 while none waits.',
    ({ longestWaitUs }) => longestWaitUs / 1e6,
  ),
  poolGauge(
    'pgweir_pool_oldest_transaction_seconds',
    'Age of the oldest transaction; 0 while there is none. A replication stream is none.',
    ({ oldestTransactionUs }) => oldestTransactionUs / 1e6,
  ),
  poolGauge(
    'pgweir_pool_cancels_under_way',
    'Cancel requests on their way to servers of the pool.',
    ({ cancels }) => cancels.sent + cancels.waiting,
  ),
  databaseGauge('pgweir_database_clients', 'Clients of the database.', ({ clients }) => clients),
  databaseGauge(
    'pgweir_database_servers',
    'Servers of the database, for all users together.',
    ({ servers }) => servers,
  ),
  databaseGauge(
    'pgweir_database_pool_size',
    'Maximum number of servers of each pool of the database whose user has no limit of its own; 0 is no limit.',
    ({ poolSize }) => poolSize,
  ),
  databaseGauge(
    'pgweir_database_reserve_pool_size',
    'Number of additional servers when clients have waited for reserve_pool_timeout.',
    ({ reservePoolSize }) => reservePoolSize,
  ),
  databaseGauge(
    'pgweir_database_max_servers',
    'Maximum number of servers of the database, for all users together; 0 is no limit.',
    ({ maxServers }) => maxServers,
  ),
  databaseGauge(
    'pgweir_database_max_clients',
    'Maximum number of clients of the database; 0 is no limit.',
    ({ maxClients }) => maxClients,
  ),
  userGauge(
    'pgweir_user_max_servers',
    'Maximum number of servers of the user, for all databases together. Only present if there is a limit (max_user_connections) and the user has a pool.',
    (limits, user) => limits.serversOf(user),
  ),
  userGauge(
    'pgweir_user_max_clients',
    'Maximum number of clients of the user. Only present if there is a limit (max_user_client_connections) and the user has a pool.',
    (limits, user) => limits.clientsOf(user),
  ),
  databaseGauge('pgweir_database_paused', '1 while the database is paused by its name.', ({ isPaused }) =>
    Number(isPaused),
  ),
  databaseGauge(
    'pgweir_database_disabled',
    '1 while the database is disabled and takes no new clients.',
    ({ isDisabled }) => Number(isDisabled),
  ),

  // Counters
  counter('pgweir_transactions_total', 'Transactions that have ended.', 'transactions'),
  counter('pgweir_queries_total', 'Requests that PostgreSQL has answered.', 'queries'),
  counter('pgweir_leases_total', 'Number of times that a client got a server.', 'serverAssignments'),
  counter('pgweir_client_logins_total', 'Clients that have logged in.', 'clientLogins'),
  counter('pgweir_received_bytes_total', 'Bytes received from clients.', 'received'),
  counter('pgweir_sent_bytes_total', 'Bytes received from servers for clients.', 'sent'),
  counter('pgweir_servers_opened_total', 'Connections to PostgreSQL that were opened successfully.', 'serversOpened'),
  counter('pgweir_server_failures_total', 'Failed attempts to connect or log in to PostgreSQL.', 'serverFailures'),
  counter(
    'pgweir_servers_closed_total',
    'Connections to PostgreSQL that have ended, no matter which side ended them.',
    'serversClosed',
  ),
  {
    name: 'pgweir_errors_total',
    type: 'counter',
    help: 'Errors sent to clients. `source` is `postgresql` for errors that were passed on, and `pgweir` for errors of the pooler itself. The labels database and user are empty if the client had no pool yet.',
    labels: [...POOL_LABELS, 'source', 'sqlstate'],
    read: ({ accounts: { pools, process } }) =>
      [...pools, { database: '', user: '', errors: process.errors }].flatMap((tally) =>
        Object.entries(tally.errors).map(([key, value]) => ({ of: poolOf(tally), part: errorOf(key), value })),
      ),
  },
  counter('pgweir_client_parses_total', 'Statements that clients asked to prepare (Parse).', 'clientParses'),
  counter('pgweir_server_parses_total', 'Statements that PostgreSQL has prepared.', 'serverParses'),
  counter('pgweir_binds_total', 'Executions of prepared statements (Bind).', 'binds'),
  counter(
    'pgweir_statement_hits_total',
    'Prepared statements that the server already had when a client used them.',
    'statementHits',
  ),
  counter(
    'pgweir_statement_misses_total',
    'Prepared statements that had to be prepared on the server when a client used them.',
    'statementMisses',
  ),
  counter(
    'pgweir_statement_evictions_total',
    'Prepared statements that were removed from a server to make room for others.',
    'statementEvictions',
  ),
  counter(
    'pgweir_auto_prepare_hits_total',
    'With auto_prepare: unnamed statements that the server already had.',
    'autoPrepareHits',
  ),
  counter(
    'pgweir_auto_prepare_misses_total',
    'With auto_prepare: unnamed statements that the server had to parse.',
    'autoPrepareMisses',
  ),
  processCounter('pgweir_connections_total', 'Connections from clients that were accepted.', 'connections'),
  processCounter(
    'pgweir_connections_refused_total',
    'Connections from clients that were closed because too many clients were logging in.',
    'connectionsRefused',
  ),
  processCounter('pgweir_cancel_requests_total', 'Cancel requests received.', 'cancelRequests'),
  processCounter(
    'pgweir_cancels_sent_total',
    'Cancel requests sent to PostgreSQL, including those for clients that disconnected during a query.',
    'cancelsSent',
  ),
  handshakes('pgweir_tls_handshakes_total', 'TLS handshakes that succeeded.', {
    client: 'clientHandshakes',
    server: 'serverHandshakes',
  }),
  handshakes('pgweir_tls_handshake_failures_total', 'TLS handshakes that failed.', {
    client: 'clientHandshakesFailed',
    server: 'serverHandshakesFailed',
  }),

  // Durations
  histogram(
    'pgweir_response_duration_seconds',
    'Time from a request to its answer, including the wait for a server: the response time that the client sees.',
    'response',
  ),
  histogram(
    'pgweir_query_duration_seconds',
    'Time from a request to its answer, without the wait for a server: the time that PostgreSQL took.',
    'query',
  ),
  histogram(
    'pgweir_transaction_duration_seconds',
    'Time from the first request of a transaction to the answer to its last one.',
    'transaction',
  ),
  histogram(
    'pgweir_wait_duration_seconds',
    'Time that a request waited for its server. Requests that got a server at once are counted, too, and those whose wait ended without one: by a timeout or a cancel request, or because the client left.',
    'wait',
  ),
  histogram(
    'pgweir_passing_duration_seconds',
    'Time that pgweir itself took, from receiving bytes to passing them on. Each response time contains this twice, once per direction. One in 64 chunks is measured.',
    'passing',
  ),
  histogram(
    'pgweir_server_opening_duration_seconds',
    'Time from the attempt to connect to PostgreSQL until the connection can be used.',
    'opening',
  ),
  histogram(
    'pgweir_client_login_duration_seconds',
    "Time from a client's connection until it has logged in, including the client's own delays and the wait for a first server.",
    'login',
  ),

  // The processes
  {
    name: 'pgweir_workers',
    type: 'gauge',
    help: 'Processes that serve clients, by their state.',
    labels: ['state'],
    read: ({ workers }) =>
      WORKER_STATES.map((state) => ({
        of: { state },
        value: workers.filter((worker) => worker.state === state).length,
      })),
  },
  processCounter('pgweir_workers_lost_total', 'Processes that crashed or hung, and were replaced.', 'workersLost'),
  workerGauge('pgweir_worker_clients', 'Connections from clients to the process.', ({ clients }) => clients),
  workerGauge('pgweir_worker_servers', 'Connections from the process to PostgreSQL.', ({ servers }) => servers),
  workerGauge(
    'pgweir_worker_resident_memory_bytes',
    'Resident memory of the process.',
    ({ residentBytes }) => residentBytes,
  ),
  workerGauge(
    'pgweir_worker_start_time_seconds',
    'When the process was started, in seconds since 1970.',
    ({ startedAt }) => startedAt / 1000,
  ),
  workerCounter(
    'pgweir_worker_cpu_seconds_total',
    'CPU time of the process; starts at 0 again when another process gets its number.',
    ({ cpuUs }) => cpuUs / 1e6,
  ),
  workerGauge(
    'pgweir_worker_event_loop_delay_seconds',
    'Longest delay of the event loop of the process in the last 1 to 2 seconds.',
    ({ delayUs }) => delayUs / 1e6,
  ),
  {
    name: 'pgweir_event_loop_delay_seconds',
    type: 'histogram',
    help: 'Delays of the event loops of all processes, measured several times a second.',
    labels: [],
    read: ({ accounts }) => [{ of: NOBODY, value: accounts.process.loopDelay }],
  },
]

// Functions that build rows

function gauge(name: string, help: string, measure: (now: Snapshot) => number): Family {
  return { ...{ name, help, type: 'gauge', labels: [] }, read: (now) => [{ of: NOBODY, value: measure(now) }] }
}

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
    read: ({ accounts }) => accounts.pools.map((tally) => ({ of: poolOf(tally), value: tally.totals[counterName] })),
  }
}

function processCounter(name: string, help: string, counted: ProcessCount): Family {
  return {
    ...{ name, help, type: 'counter', labels: [] },
    read: ({ accounts }) => [{ of: NOBODY, value: accounts.process.counts[counted] }],
  }
}

/** @param sides the counter for handshakes with clients, and the one for handshakes with servers */
function handshakes(name: string, help: string, sides: Readonly<Record<'client' | 'server', ProcessCount>>): Family {
  return {
    ...{ name, help, type: 'counter', labels: ['with'] },
    read: ({ accounts }) =>
      Object.entries(sides).map(([side, counted]) => ({
        of: { with: side },
        value: accounts.process.counts[counted],
      })),
  }
}

function histogram(name: string, help: string, duration: DurationName): Family {
  return {
    ...{ name, help, type: 'histogram', labels: POOL_LABELS },
    read: ({ accounts }) => accounts.pools.map((tally) => ({ of: poolOf(tally), value: tally.durations[duration] })),
  }
}

function databaseGauge(name: string, help: string, measure: (database: DatabaseSnapshot) => number): Family {
  return {
    ...{ name, help, type: 'gauge', labels: ['database'] },
    read: ({ databases }) => databases.map((database) => ({ of: databaseOf(database.name), value: measure(database) })),
  }
}

/** A gauge for each user that has a pool and a limit. */
function userGauge(name: string, help: string, limitOf: (limits: Limits, user: string) => number): Family {
  return {
    ...{ name, help, type: 'gauge', labels: ['user'] },
    read: ({ pools, limits }) =>
      [...new Set(pools.map(({ user }) => user))]
        .filter((user) => user !== OTHER && limitOf(limits, user) > 0)
        .map((user) => ({ of: userOf(user), value: limitOf(limits, user) })),
  }
}

function workerGauge(name: string, help: string, measure: (worker: WorkerSnapshot) => number): Family {
  return {
    ...{ name, help, type: 'gauge', labels: ['worker'] },
    read: ({ workers }) => workers.map((worker) => ({ of: { worker: String(worker.number) }, value: measure(worker) })),
  }
}

function workerCounter(name: string, help: string, measure: (worker: WorkerSnapshot) => number): Family {
  return { ...workerGauge(name, help, measure), type: 'counter' }
}

// The same label objects are used at every scrape, so that `exposition.ts` builds their text only once.

const MAX_KNOWN = 20_000
const known = new Map<string, Labels>()

function poolOf({ database, user }: { readonly database: string; readonly user: string }): Labels {
  return remembered(`${database}\0${user}`, { database, user })
}

function databaseOf(database: string): Labels {
  return remembered(`database ${database}`, { database })
}

function userOf(user: string): Labels {
  return remembered(`user ${user}`, { user })
}

function partOf(state: string): Labels {
  return remembered(`state ${state}`, { state })
}

function fileOf(file: string): Labels {
  return remembered(`file ${file}`, { file })
}

function errorOf(key: string): Labels {
  return remembered(`error ${key}`, { ...partsOf(key) })
}

const NOBODY: Labels = {}

function remembered(key: string, labels: Labels): Labels {
  const found = known.get(key)
  if (found !== undefined) return found
  if (known.size >= MAX_KNOWN) known.clear()
  known.set(key, labels)
  return labels
}
