/** SHOW USERS. */

import type { UserSnapshot } from '../../workers/fleet.ts'
import { inOrder, topic } from './topic.ts'

export const users = topic<UserSnapshot>({
  help: 'The users of auth_file and `[users]`, and whoever else has logged in.',
  rows: async ({ fleet }) => inOrder(await fleet.users(), ({ name }) => name),
  columns: [
    ['name', 'text', 'its name', ({ name }) => name],
    ['pool_size', 'text', 'its own pool_size; empty where there is none', ({ poolSize }) => size(poolSize)],
    ['reserve_pool_size', 'text', 'its own; empty where there is none', ({ reservePoolSize }) => size(reservePoolSize)],
    ['pool_mode', 'text', 'its own; null where there is none', ({ poolMode }) => poolMode],
    [
      'max_user_connections',
      'int4',
      'servers at most, all databases together; 0 is no limit',
      ({ maxServers }) => maxServers,
    ],
    ['current_connections', 'int4', 'servers now', ({ servers }) => servers],
    ['max_user_client_connections', 'int4', 'clients at most; 0 is no limit', ({ maxClients }) => maxClients],
    ['current_client_connections', 'int4', 'clients now', ({ clients }) => clients],
  ],
})

/** PgBouncer prints these numbers as right-aligned text. */
function size(value: number | null): string {
  return value === null ? '' : String(value).padStart(9)
}
