/** SHOW DATABASES. */

import type { DatabaseSnapshot } from '../../workers/fleet.ts'
import { inOrder, topic, wholeSeconds } from './topic.ts'

export const databases = topic<DatabaseSnapshot>({
  help: 'The entries of `[databases]`, and the databases created from the entry `*`.',
  rows: async ({ fleet }) => inOrder(await fleet.databases(), ({ name }) => name),
  columns: [
    ['name', 'text', 'name that clients connect to', ({ name }) => name],
    ['host', 'text', 'host of PostgreSQL; null for the unix socket in unix_socket_dir', ({ host }) => host],
    ['port', 'int4', 'port of PostgreSQL', ({ port }) => port],
    ['database', 'text', 'name of the database in PostgreSQL', ({ database }) => database],
    [
      'force_user',
      'text',
      'user that servers log in as, whatever the user of the client; null if none is forced',
      ({ forcedUser }) => forcedUser,
    ],
    ['pool_size', 'int4', 'maximum number of servers per user', ({ poolSize }) => poolSize],
    ['min_pool_size', 'int4', 'number of servers kept open per user', ({ minPoolSize }) => minPoolSize],
    [
      'reserve_pool_size',
      'int4',
      'number of additional servers when clients have waited for reserve_pool_timeout',
      ({ reservePoolSize }) => reservePoolSize,
    ],
    [
      'server_lifetime',
      'int4',
      'age in seconds at which a server is closed',
      ({ serverLifetimeMs }) => wholeSeconds(serverLifetimeMs * 1000),
    ],
    ['pool_mode', 'text', "the database's own mode; null if the general one applies", ({ poolMode }) => poolMode],
    ['load_balance_hosts', 'text', 'how several hosts are used; null if there is only one', ({ balance }) => balance],
    [
      'max_connections',
      'int4',
      'maximum number of servers for all users together; 0 is no limit',
      ({ maxServers }) => maxServers,
    ],
    ['current_connections', 'int4', 'current number of servers', ({ servers }) => servers],
    ['max_client_connections', 'int4', 'maximum number of clients; 0 is no limit', ({ maxClients }) => maxClients],
    ['current_client_connections', 'int4', 'current number of clients', ({ clients }) => clients],
    [
      'paused',
      'int4',
      '1 if this database was paused by its name, with PAUSE or KILL',
      ({ isPaused }) => Number(isPaused),
    ],
    ['disabled', 'int4', '1 if the database was disabled with DISABLE', ({ isDisabled }) => Number(isDisabled)],
  ],
})
