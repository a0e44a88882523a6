/** The databases and users of this process, as the console shows them: settings and what is counted under them. */

import type { Settings } from '../settings/load.ts'
import type { DatabaseSnapshot, UserSnapshot } from '../workers/fleet.ts'
import type { Databases } from './databases.ts'
import type { Users } from './users.ts'

export function describeDatabases({ general }: Settings, databases: Databases): DatabaseSnapshot[] {
  return [...databases].map(({ name, settings, forcedUser, servers, clients }) => ({
    name,
    host: settings.host,
    port: settings.port,
    database: settings.dbname,
    forcedUser,
    poolSize: settings.pool_size ?? general.default_pool_size,
    minPoolSize: settings.min_pool_size ?? general.min_pool_size,
    reservePoolSize: settings.reserve_pool_size ?? general.reserve_pool_size,
    serverLifetimeMs: settings.server_lifetime ?? general.server_lifetime,
    poolMode: settings.pool_mode,
    maxServers: servers.max,
    servers: servers.used,
    maxClients: clients.max,
    clients: clients.used,
  }))
}

/** Those of auth_file, those of [users], and whoever else is or was there. */
export function describeUsers(settings: Settings, users: Users, databases: Databases): UserSnapshot[] {
  const { general } = settings
  const names = new Set([...users.names, ...settings.users.keys(), ...databases.countedUsers])
  return [...names].map((name) => {
    const own = settings.users.get(name)
    const { servers, clients } = databases.countsOf(name)
    return {
      name,
      poolSize: own?.pool_size ?? null,
      reservePoolSize: own?.reserve_pool_size ?? null,
      poolMode: own?.pool_mode ?? null,
      maxServers: own?.max_user_connections ?? general.max_user_connections,
      servers,
      maxClients: own?.max_user_client_connections ?? general.max_user_client_connections,
      clients,
    }
  })
}
