/** Computes the plain settings and sizes of one pool from the settings of the daemon. */

import type { LimitKind } from '../pool/permits/book.ts'
import type { Sizes } from '../pool/permits/limit.ts'
import type { PoolSettings } from '../pool/settings.ts'
import type { DatabaseSettings } from '../settings/databases.ts'
import { databaseFor, type Settings } from '../settings/load.ts'

/** How the ini file writes an empty query. An empty value means "no query". */
const EMPTY_QUERY = '<empty>'

/** The user's own value takes precedence over the database's, and that over the general one. */
export function poolSettings(all: Settings, database: DatabaseSettings, userName: string): PoolSettings {
  const { general, users } = all
  const user = users.get(userName)
  return {
    mode: user?.pool_mode ?? database.pool_mode ?? general.pool_mode,
    size: user?.pool_size ?? database.pool_size ?? general.default_pool_size,
    roundRobin: general.server_round_robin,
    resetQuery: general.server_reset_query,
    alwaysResets: general.server_reset_query_always,
    checkQuery: checkQuery(general.server_check_query),
    checkDelayMs: general.server_check_delay,
    idleTimeoutMs: general.server_idle_timeout,
    unusedTimeoutMs: unusedTimeoutMs(all, database.name),
    lifetimeMs: database.server_lifetime ?? general.server_lifetime,
    connectTimeoutMs: general.server_connect_timeout,
    loginRetryMs: general.server_login_retry,
    waitTimeoutMs: user?.query_wait_timeout ?? database.query_wait_timeout ?? general.query_wait_timeout,
    waitNotifyMs: general.query_wait_notify,
    queryTimeoutMs: user?.query_timeout ?? general.query_timeout,
    idleTransactionTimeoutMs: user?.idle_transaction_timeout ?? general.idle_transaction_timeout,
    transactionTimeoutMs: user?.transaction_timeout ?? general.transaction_timeout,
    maxPreparedStatements: general.max_prepared_statements,
    autoPrepare: user?.auto_prepare ?? database.auto_prepare ?? general.auto_prepare,
    autoPrepareMaxBytes: general.auto_prepare_max_bytes,
    maxPacketBytes: general.max_packet_size,
    closesFast: general.server_fast_close,
    takesSimpleQueries: !general.disable_pqexec,
    logsConnections: general.log_connections,
    logsDisconnections: general.log_disconnections,
  }
}

/**
 * A database of the entry `*` is forgotten after autodb_idle_timeout, but only once its pools are gone. So its pools must not live longer,
 * whatever pool_idle_timeout says.
 */
function unusedTimeoutMs({ general, databases }: Settings, databaseName: string): number {
  const { pool_idle_timeout, autodb_idle_timeout } = general
  if (databases.has(databaseName) || autodb_idle_timeout === 0) return pool_idle_timeout
  return Math.min(pool_idle_timeout || Infinity, autodb_idle_timeout)
}

/**
 * Settings for a replication connection: no timeouts on queries and transactions, because a replication stream runs for days, and no
 * auto_prepare, because its server is shared with nobody.
 */
export function replicationSettings(settings: PoolSettings): PoolSettings {
  return { ...settings, queryTimeoutMs: 0, idleTransactionTimeoutMs: 0, transactionTimeoutMs: 0, autoPrepare: false }
}

/** The limits on servers of a pool, a database or a user. A name that `kind` does not need is the empty string. */
export function permitSizes(settings: Settings, kind: LimitKind, databaseName: string, userName: string): Sizes {
  const { general, users } = settings
  const database = databaseFor(settings, databaseName)
  const user = users.get(userName)
  switch (kind) {
    case 'pool': {
      const reserve = user?.reserve_pool_size ?? database?.reserve_pool_size ?? general.reserve_pool_size
      return {
        max: user?.pool_size ?? database?.pool_size ?? general.default_pool_size,
        // As in PgBouncer, reserve_pool_timeout = 0 disables the reserve; it does not mean "use it at once".
        reserve: general.reserve_pool_timeout === 0 ? 0 : reserve,
        reserveTimeoutMs: general.reserve_pool_timeout,
        min: database?.min_pool_size ?? general.min_pool_size,
      }
    }
    case 'database':
      return { max: database?.max_db_connections ?? general.max_db_connections }
    case 'user':
      return { max: user?.max_user_connections ?? general.max_user_connections }
  }
}

function checkQuery(text: string): string | null {
  if (text === '') return null
  return text === EMPTY_QUERY ? '' : text
}
