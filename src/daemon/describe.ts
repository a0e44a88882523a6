/** Describes the databases and users of this process for the console: their settings, and how many clients and servers they have. */

import type { Pools } from '../pool/pools.ts'
import type { Settings } from '../settings/load.ts'
import type { Admissions } from '../workers/admissions.ts'
import type { DatabaseSnapshot, UserSnapshot } from '../workers/fleet.ts'
import { maxClients, zeroForNone } from './client-limits.ts'
import type { Databases } from './databases.ts'
import { permitSizes } from './pool-settings.ts'
import type { Users } from './users.ts'

export function describeDatabases(
  all: Settings,
  databases: Databases,
  pools: Pools,
  admissions: Admissions,
): DatabaseSnapshot[] {
  const { general } = all
  const servers = countServers(pools, 'database')
  return [...databases].map(({ name, settings, forcedUser, isDisabled, isPaused }) => ({
    name,
    host: settings.host === '' ? null : settings.host,
    port: settings.port,
    database: settings.dbname,
    forcedUser,
    poolSize: settings.pool_size ?? general.default_pool_size,
    minPoolSize: settings.min_pool_size ?? general.min_pool_size,
    reservePoolSize: settings.reserve_pool_size ?? general.reserve_pool_size,
    serverLifetimeMs: settings.server_lifetime ?? general.server_lifetime,
    poolMode: settings.pool_mode,
    balance: settings.host.includes(',') ? settings.load_balance_hosts : null,
    maxServers: permitSizes(all, 'database', name, '').max,
    servers: servers.get(name) ?? 0,
    maxClients: zeroForNone(maxClients(all, { limit: 'max_db_client_connections', name })),
    clients: admissions.used('max_db_client_connections', name),
    isPaused,
    isDisabled,
  }))
}

/** The users of auth_file and of [users], and all others that have or had servers or clients. */
export function describeUsers(settings: Settings, users: Users, pools: Pools, admissions: Admissions): UserSnapshot[] {
  const servers = countServers(pools, 'user')
  const counted = [...servers.keys(), ...admissions.names('max_user_client_connections')]
  const names = new Set([...users.names, ...settings.users.keys(), ...counted])
  return [...names].map((name) => {
    const own = settings.users.get(name)
    return {
      name,
      poolSize: own?.pool_size ?? null,
      reservePoolSize: own?.reserve_pool_size ?? null,
      poolMode: own?.pool_mode ?? null,
      maxServers: permitSizes(settings, 'user', '', name).max,
      servers: servers.get(name) ?? 0,
      maxClients: zeroForNone(maxClients(settings, { limit: 'max_user_client_connections', name })),
      clients: admissions.used('max_user_client_connections', name),
    }
  })
}

function countServers(pools: Pools, by: 'database' | 'user'): Map<string, number> {
  const counts = new Map<string, number>()
  for (const pool of pools) counts.set(pool[by], (counts.get(pool[by]) ?? 0) + pool.total)
  return counts
}
