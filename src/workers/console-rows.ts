/** Shows the console as a database, a user and a pool among the others, as PgBouncer does. */

import { noServers } from './described-servers.ts'
import { CONSOLE_NAME, type DatabaseSnapshot, type PoolSnapshot, type UserSnapshot } from './fleet.ts'

export const CONSOLE_DATABASE = {
  name: CONSOLE_NAME,
  host: null,
  database: CONSOLE_NAME,
  forcedUser: CONSOLE_NAME,
  poolSize: 2,
  minPoolSize: 0,
  reservePoolSize: 0,
  serverLifetimeMs: 0,
  poolMode: 'statement',
  balance: null,
  maxServers: 0,
  servers: 0,
  maxClients: 0,
  isPaused: false,
  isDisabled: false,
} as const satisfies Partial<DatabaseSnapshot>

export const CONSOLE_USER: UserSnapshot = {
  name: CONSOLE_NAME,
  poolSize: null,
  reservePoolSize: null,
  poolMode: null,
  maxServers: 0,
  servers: 0,
  maxClients: 0,
  clients: 0,
}

export const CONSOLE_POOL = {
  database: CONSOLE_NAME,
  user: CONSOLE_NAME,
  mode: 'statement',
  balance: null,
  maxServers: 0,
  permits: 0,
  servers: noServers(),
} as const satisfies Partial<PoolSnapshot>
