/** From the settings of a file to the plain values of one pool. */

import type { PoolSettings } from '../pool/settings.ts'
import type { DatabaseSettings } from '../settings/databases.ts'
import type { Settings } from '../settings/load.ts'

/** What the ini writes for "an empty query", which cannot be told from "none" otherwise. */
const EMPTY_QUERY = '<empty>'

/** The user's own value counts before the database's, and that before the general one. */
export function poolSettings({ general, users }: Settings, database: DatabaseSettings, userName: string): PoolSettings {
  const user = users.get(userName)
  return {
    mode: user?.pool_mode ?? database.pool_mode ?? general.pool_mode,
    size: user?.pool_size ?? database.pool_size ?? general.default_pool_size,
    minSize: database.min_pool_size ?? general.min_pool_size,
    reserveSize: user?.reserve_pool_size ?? database.reserve_pool_size ?? general.reserve_pool_size,
    reserveTimeoutMs: general.reserve_pool_timeout,
    roundRobin: general.server_round_robin,
    resetQuery: general.server_reset_query,
    alwaysResets: general.server_reset_query_always,
    checkQuery: checkQuery(general.server_check_query),
    checkDelayMs: general.server_check_delay,
    idleTimeoutMs: general.server_idle_timeout,
    lifetimeMs: database.server_lifetime ?? general.server_lifetime,
    connectTimeoutMs: general.server_connect_timeout,
    loginRetryMs: general.server_login_retry,
    waitTimeoutMs: user?.query_wait_timeout ?? database.query_wait_timeout ?? general.query_wait_timeout,
    waitNotifyMs: general.query_wait_notify,
    queryTimeoutMs: user?.query_timeout ?? general.query_timeout,
    idleTransactionTimeoutMs: user?.idle_transaction_timeout ?? general.idle_transaction_timeout,
    transactionTimeoutMs: user?.transaction_timeout ?? general.transaction_timeout,
    maxPreparedStatements: general.max_prepared_statements,
    maxPacketBytes: general.max_packet_size,
  }
}

function checkQuery(text: string): string | null {
  if (text === '') return null
  return text === EMPTY_QUERY ? '' : text
}
