/**
 * The additional metrics of `metrics_compat = pgbouncer`: the names of PgBouncer's usual exporter, for dashboards and alerts that use them.
 * https://github.com/prometheus-community/pgbouncer_exporter
 */

import { type CounterName, sumOf, type Totals } from '../pool/averages.ts'
import type { DatabaseSnapshot, PoolSnapshot } from '../workers/fleet.ts'
import type { Family } from './families.ts'
import type { Snapshot } from './snapshot.ts'

export const PGBOUNCER_FAMILIES: readonly Family[] = [
  gauge('pgbouncer_up', 'Always 1: pgweir answers.', () => 1),
  {
    ...{
      name: 'pgbouncer_version_info',
      type: 'gauge',
      help: 'Always 1; the label is the version of pgweir.',
      labels: ['version'],
    },
    read: ({ version }) => [{ of: { version }, value: 1 }],
  },
  gauge('pgbouncer_config_max_client_connections', 'The setting max_client_conn.', ({ limits }) => limits.maxClients),
  gauge(
    'pgbouncer_config_max_user_connections',
    'The setting max_user_connections.',
    ({ limits }) => limits.maxUserServers,
  ),

  gauge('pgbouncer_databases', 'Databases.', ({ databases }) => databases.length),
  gauge('pgbouncer_pools', 'Pools.', ({ pools }) => pools.length),
  gauge('pgbouncer_used_clients', 'Connections from clients.', ({ vitals }) => vitals.connections),
  gauge('pgbouncer_login_clients', 'Clients that are logging in.', ({ vitals }) => vitals.loggingIn),
  gauge('pgbouncer_free_clients', 'Always 0, as in SHOW LISTS.', () => 0),
  gauge('pgbouncer_used_servers', 'Connections to PostgreSQL.', ({ pools }) =>
    pools.reduce((sum, { servers }) => sum + Object.values(servers).reduce((some, count) => some + count, 0), 0),
  ),
  gauge('pgbouncer_free_servers', 'Always 0, as in SHOW LISTS.', () => 0),

  pool('client_active_connections', 'cl_active', ({ clients }) => clients.active + clients.idle),
  pool('client_waiting_connections', 'cl_waiting', ({ clients }) => clients.waiting),
  pool('client_active_cancel_connections', 'cl_active_cancel_req', ({ cancels }) => cancels.sent),
  pool('client_waiting_cancel_connections', 'cl_waiting_cancel_req', ({ cancels }) => cancels.waiting),
  pool('client_maxwait_seconds', 'maxwait', ({ longestWaitUs }) => longestWaitUs / 1e6),
  pool('server_active_connections', 'sv_active', ({ servers }) => servers.active),
  pool('server_active_cancel_connections', 'sv_active_cancel', ({ cancels }) => cancels.sent),
  pool('server_being_canceled_connections', 'sv_being_canceled', ({ servers }) => servers.being_canceled),
  pool('server_idle_connections', 'sv_idle', ({ servers }) => servers.idle),
  pool('server_used_connections', 'sv_used', ({ servers }) => servers.used),
  pool('server_testing_connections', 'sv_tested', ({ servers }) => servers.tested),
  pool('server_login_connections', 'sv_login', ({ servers }) => servers.new),

  database('current_connections', 'Connections to PostgreSQL.', ({ servers }) => servers),
  database('max_connections', 'The setting max_db_connections.', ({ maxServers }) => maxServers),
  database('pool_size', 'pool_size', ({ poolSize }) => poolSize),
  database('reserve_pool', 'reserve_pool_size', ({ reservePoolSize }) => reservePoolSize),
  database('paused', '1 while it is paused.', ({ isPaused }) => Number(isPaused)),
  database('disabled', '1 while it is disabled.', ({ isDisabled }) => Number(isDisabled)),

  // The exporter first used the one prefix and later the other, so both are given.
  ...['pgbouncer_stats_', 'pgbouncer_stats_totals_'].flatMap((prefix) => [
    stat(`${prefix}queries_pooled_total`, 'total_query_count', 'queries'),
    stat(`${prefix}queries_duration_seconds_total`, 'total_query_time', 'queryUs', 1e-6),
    stat(`${prefix}sql_transactions_pooled_total`, 'total_xact_count', 'transactions'),
    stat(`${prefix}server_in_transaction_seconds_total`, 'total_xact_time', 'transactionUs', 1e-6),
    stat(`${prefix}client_wait_seconds_total`, 'total_wait_time', 'waitUs', 1e-6),
    stat(`${prefix}received_bytes_total`, 'total_received', 'received'),
    stat(`${prefix}sent_bytes_total`, 'total_sent', 'sent'),
    stat(`${prefix}server_assignments_total`, 'total_server_assignment_count', 'serverAssignments'),
    stat(`${prefix}client_parses_total`, 'total_client_parse_count', 'clientParses'),
    stat(`${prefix}server_parses_total`, 'total_server_parse_count', 'serverParses'),
    stat(`${prefix}binds_total`, 'total_bind_count', 'binds'),
  ]),
]

function gauge(name: string, help: string, measure: (now: Snapshot) => number): Family {
  return { ...{ name, help, type: 'gauge', labels: [] }, read: (now) => [{ of: {}, value: measure(now) }] }
}

function pool(name: string, column: string, measure: (pool: PoolSnapshot) => number): Family {
  return {
    ...{
      name: `pgbouncer_pools_${name}`,
      help: `${column} of SHOW POOLS.`,
      type: 'gauge',
      labels: ['database', 'user'],
    },
    read: ({ pools }) =>
      pools.map((each) => ({ of: { database: each.database, user: each.user }, value: measure(each) })),
  }
}

function database(name: string, help: string, measure: (database: DatabaseSnapshot) => number): Family {
  return {
    ...{ name: `pgbouncer_databases_${name}`, help, type: 'gauge' },
    labels: ['name', 'host', 'port', 'database', 'force_user', 'pool_mode'],
    read: ({ databases }) =>
      databases.map((each) => ({
        of: {
          ...{ name: each.name, host: each.host ?? '', port: String(each.port), database: each.database },
          ...{ force_user: each.forcedUser ?? '', pool_mode: each.poolMode ?? '' },
        },
        value: measure(each),
      })),
  }
}

function stat(name: string, column: string, counter: CounterName, factor = 1): Family {
  return {
    ...{ name, help: `${column} of SHOW STATS.`, type: 'counter', labels: ['database'] },
    read: ({ accounts }) => {
      const totals = new Map<string, Totals>()
      for (const tally of accounts.pools) {
        const before = totals.get(tally.database)
        totals.set(tally.database, before === undefined ? tally.totals : sumOf([before, tally.totals]))
      }
      return [...totals].map(([name, sum]) => ({ of: { database: name }, value: sum[counter] * factor }))
    },
  }
}
