/** SHOW DATABASES. */

import type { DatabaseSnapshot } from '../../workers/fleet.ts'
import { inOrder, topic, wholeSeconds } from './topic.ts'

export const databases = topic<DatabaseSnapshot>({
  help: 'The entries of `[databases]`, with those that were made from `*`.',
  rows: async ({ fleet }) => inOrder(await fleet.databases(), ({ name }) => name),
  columns: [
    ['name', 'text', 'what clients ask for', ({ name }) => name],
    ['host', 'text', 'where it is; null for the unix socket in unix_socket_dir', ({ host }) => host],
    ['port', 'int4', 'its port', ({ port }) => port],
    ['database', 'text', 'its name on the server', ({ database }) => database],
    ['force_user', 'text', 'user that servers are logged in as, whoever the client is', ({ forcedUser }) => forcedUser],
    ['pool_size', 'int4', 'servers per user', ({ poolSize }) => poolSize],
    ['min_pool_size', 'int4', 'servers that are kept open per user', ({ minPoolSize }) => minPoolSize],
    ['reserve_pool_size', 'int4', 'servers beyond pool_size in need', ({ reservePoolSize }) => reservePoolSize],
    [
      'server_lifetime',
      'int4',
      'seconds after which a server is closed',
      ({ serverLifetimeMs }) => wholeSeconds(serverLifetimeMs * 1000),
    ],
    ['pool_mode', 'text', 'its own; null where the general one holds', ({ poolMode }) => poolMode],
    ['load_balance_hosts', 'text', 'how its hosts take turns; null where there is one', ({ balance }) => balance],
    ['max_connections', 'int4', 'servers at most, all users together; 0 is no limit', ({ maxServers }) => maxServers],
    ['current_connections', 'int4', 'servers now', ({ servers }) => servers],
    ['max_client_connections', 'int4', 'clients at most; 0 is no limit', ({ maxClients }) => maxClients],
    ['current_client_connections', 'int4', 'clients now', ({ clients }) => clients],
    ['paused', 'int4', '1 after PAUSE or KILL of this database', ({ isPaused }) => Number(isPaused)],
    ['disabled', 'int4', '1 after DISABLE', ({ isDisabled }) => Number(isDisabled)],
  ],
})
