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
    help: 'Always 1; the labels tell the version of pgweir and of Node.js.',
    labels: ['version', 'node'],
    read: ({ version }) => [{ of: { version, node: process.versions.node }, value: 1 }],
  },
  gauge('pgweir_ready', '1 while clients should be sent here, as /readyz says.', (now) =>
    Number(healthOf(now.circumstances) === 'ready'),
  ),
  gauge('pgweir_paused', '1 while everything is paused.', ({ circumstances }) => Number(circumstances.isPaused)),
  gauge(
    'pgweir_client_connections',
    'Connections of clients, also those that are logging in and those on the console.',
    ({ vitals }) => vitals.connections,
  ),
  gauge('pgweir_clients_logging_in', 'Connections whose clients are not in yet.', ({ vitals }) => vitals.loggingIn),
  gauge('pgweir_max_client_connections', 'The setting max_client_conn.', ({ limits }) => limits.maxClients),
  {
    name: 'pgweir_tls_certificate_expiry_timestamp_seconds',
    type: 'gauge',
    help: 'When a file of certificates is of no use any more, in seconds since 1970: a chain once its first certificate expires, authorities (`…_ca_file`) once the last does. `file` is the setting that names it: `client_tls_cert_file` is what clients are shown, `server_tls_ca_file` whom servers are trusted by.',
    labels: ['file'],
    read: ({ vitals }) =>
      Object.entries(vitals.certificates).map(([file, at]) => ({ of: fileOf(file), value: at / 1000 })),
  },
  poolStates(
    'pgweir_pool_clients',
    'Clients that have logged in: `active` have a server, `waiting` want one, `idle` want nothing.',
    ({ clients }) => clients,
  ),
  poolStates(
    'pgweir_pool_servers',
    'Connections to PostgreSQL, by what they do, in the words of SHOW SERVERS.',
    ({ servers }) => servers,
  ),
  poolGauge(
    'pgweir_pool_max_servers',
    'How many servers the pool may have, all processes together, without the reserve; 0 is no limit, and stands for those together that are counted as `other`.',
    ({ maxServers }) => maxServers,
  ),
  poolGauge(
    'pgweir_pool_permits',
    'Permits that are out, all processes together: each is for one server, from dialling until PostgreSQL has let go of it.',
    ({ permits }) => permits,
  ),
  poolGauge(
    'pgweir_pool_oldest_wait_seconds',
    'How long the client has waited for a server that has waited for longest; 0 while nobody waits.',
    ({ longestWaitUs }) => longestWaitUs / 1e6,
  ),
  poolGauge(
    'pgweir_pool_oldest_transaction_seconds',
    'How long the transaction runs that runs for longest; 0 while none does.',
    ({ oldestTransactionUs }) => oldestTransactionUs / 1e6,
  ),
  poolGauge(
    'pgweir_pool_cancels_under_way',
    'Cancel requests on their way to servers of the pool.',
    ({ cancels }) => cancels.sent + cancels.waiting,
  ),
  databaseGauge('pgweir_database_clients', 'Clients of the database.', ({ clients }) => clients),
  databaseGauge('pgweir_database_servers', 'Servers of the database, all users together.', ({ servers }) => servers),
  databaseGauge(
    'pgweir_database_pool_size',
    'How many servers each pool of the database may have, where its user has no limit of its own; 0 is no limit.',
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
  userGauge(
    'pgweir_user_max_servers',
    'How many servers the user may have, all databases together; only where there is a limit (max_user_connections), and while the user has a pool.',
    (limits, user) => limits.serversOf(user),
  ),
  userGauge(
    'pgweir_user_max_clients',
    'How many clients the user may have; only where there is a limit (max_user_client_connections), and while the user has a pool.',
    (limits, user) => limits.clientsOf(user),
  ),
  databaseGauge('pgweir_database_paused', '1 while the database is paused by its name.', ({ isPaused }) =>
    Number(isPaused),
  ),
  databaseGauge('pgweir_database_disabled', '1 while the database takes no clients.', ({ isDisabled }) =>
    Number(isDisabled),
  ),

  // Counters
  counter('pgweir_transactions_total', 'Transactions that have ended.', 'transactions'),
  counter('pgweir_queries_total', 'Requests that PostgreSQL has answered.', 'queries'),
  counter('pgweir_leases_total', 'How often a client was given a server.', 'serverAssignments'),
  counter('pgweir_client_logins_total', 'Clients that have logged in.', 'clientLogins'),
  counter('pgweir_received_bytes_total', 'Bytes that came from clients.', 'received'),
  counter('pgweir_sent_bytes_total', 'Bytes that came from servers, for clients.', 'sent'),
  counter('pgweir_servers_opened_total', 'Connections to PostgreSQL that could be used.', 'serversOpened'),
  counter(
    'pgweir_server_failures_total',
    'Connections to PostgreSQL that could not be made, or logins that it has refused.',
    'serverFailures',
  ),
  counter(
    'pgweir_servers_closed_total',
    'Connections to PostgreSQL that have ended, whoever has ended them.',
    'serversClosed',
  ),
  {
    name: 'pgweir_errors_total',
    type: 'counter',
    help: 'Errors that clients were told. `source` is `postgresql` for those that were passed on, and `pgweir` for those of the pooler itself; the labels database and user are empty for clients that had come to no pool.',
    labels: [...POOL_LABELS, 'source', 'sqlstate'],
    read: ({ accounts: { pools, process } }) =>
      [...pools, { database: '', user: '', errors: process.errors }].flatMap((tally) =>
        Object.entries(tally.errors).map(([key, value]) => ({ of: poolOf(tally), part: errorOf(key), value })),
      ),
  },
  counter('pgweir_client_parses_total', 'Statements that clients had prepared (Parse).', 'clientParses'),
  counter('pgweir_server_parses_total', 'Statements that PostgreSQL has prepared.', 'serverParses'),
  counter('pgweir_binds_total', 'Executions of prepared statements (Bind).', 'binds'),
  counter(
    'pgweir_statement_hits_total',
    'Prepared statements that the server had already when its client wanted them.',
    'statementHits',
  ),
  counter('pgweir_statement_misses_total', 'Prepared statements that the server had to be given.', 'statementMisses'),
  counter(
    'pgweir_statement_evictions_total',
    'Prepared statements that had to make way for others on their server.',
    'statementEvictions',
  ),
  counter(
    'pgweir_auto_prepare_hits_total',
    'With auto_prepare: unnamed statements that the server had.',
    'autoPrepareHits',
  ),
  counter(
    'pgweir_auto_prepare_misses_total',
    'With auto_prepare: unnamed statements that the server had not.',
    'autoPrepareMisses',
  ),
  processCounter('pgweir_connections_total', 'Connections of clients that were accepted.', 'connections'),
  processCounter(
    'pgweir_connections_refused_total',
    'Those that were closed because too many were logging in.',
    'connectionsRefused',
  ),
  processCounter('pgweir_cancel_requests_total', 'Cancel requests that have come.', 'cancelRequests'),
  processCounter(
    'pgweir_cancels_sent_total',
    'Cancel requests that were sent to PostgreSQL, also for clients that have disappeared.',
    'cancelsSent',
  ),
  handshakes('pgweir_tls_handshakes_total', 'Handshakes of TLS that have come to a good end.', {
    client: 'clientHandshakes',
    server: 'serverHandshakes',
  }),
  handshakes('pgweir_tls_handshake_failures_total', 'Handshakes of TLS that have not.', {
    client: 'clientHandshakesFailed',
    server: 'serverHandshakesFailed',
  }),

  // Durations
  histogram(
    'pgweir_response_duration_seconds',
    'From a request to its answer, with the wait for a server: as the client sees it.',
    'response',
  ),
  histogram(
    'pgweir_query_duration_seconds',
    'From a request to its answer, without the wait for a server: what PostgreSQL took.',
    'query',
  ),
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
  histogram(
    'pgweir_passing_duration_seconds',
    "pgweir's own part of a response time, twice in each: from when bytes had come to when they had been passed on. One chunk of 64 is measured.",
    'passing',
  ),
  histogram(
    'pgweir_server_opening_duration_seconds',
    'From dialling PostgreSQL to a connection that can be used.',
    'opening',
  ),
  histogram(
    'pgweir_client_login_duration_seconds',
    "From a client's connection to when it is in; its own delays and the wait for a first server count, too.",
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
  processCounter('pgweir_workers_lost_total', 'Processes that have crashed or hung, and were replaced.', 'workersLost'),
  workerGauge('pgweir_worker_clients', 'Connections of clients to the process.', ({ clients }) => clients),
  workerGauge('pgweir_worker_servers', 'Connections to PostgreSQL of the process.', ({ servers }) => servers),
  workerGauge('pgweir_worker_resident_memory_bytes', 'Memory of the process.', ({ residentBytes }) => residentBytes),
  workerGauge(
    'pgweir_worker_start_time_seconds',
    'When the process was started, in seconds since 1970.',
    ({ startedAt }) => startedAt / 1000,
  ),
  workerCounter(
    'pgweir_worker_cpu_seconds_total',
    'CPU time of the process; the next one under its number begins anew.',
    ({ cpuUs }) => cpuUs / 1e6,
  ),
  workerGauge(
    'pgweir_worker_event_loop_delay_seconds',
    'The longest that the event loop of the process was late of late.',
    ({ delayUs }) => delayUs / 1e6,
  ),
  {
    name: 'pgweir_event_loop_delay_seconds',
    type: 'histogram',
    help: 'How late the event loops were, of all processes, looked at a few times a second.',
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
