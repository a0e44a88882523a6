/** SHOW USERS. */

import type { UserSnapshot } from '../../workers/fleet.ts'
import { inOrder, topic } from './topic.ts'

export const users = topic<UserSnapshot>({
  help: 'The users of auth_file and `[users]`, and other users who have logged in.',
  rows: async ({ fleet }) => inOrder(await fleet.users(), ({ name }) => name),
  columns: [
    ['name', 'text', 'name of the user', ({ name }) => name],
    ['pool_size', 'text', "the user's own pool_size; empty if it has none", ({ poolSize }) => size(poolSize)],
    [
      'reserve_pool_size',
      'text',
      "the user's own reserve_pool_size; empty if it has none",
      ({ reservePoolSize }) => size(reservePoolSize),
    ],
    ['pool_mode', 'text', "the user's own pool_mode; null if it has none", ({ poolMode }) => poolMode],
    [
      'max_user_connections',
      'int4',
      'maximum number of servers for all databases together; 0 is no limit',
      ({ maxServers }) => maxServers,
    ],
    ['current_connections', 'int4', 'current number of servers', ({ servers }) => servers],
    ['max_user_client_connections', 'int4', 'maximum number of clients; 0 is no limit', ({ maxClients }) => maxClients],
    ['current_client_connections', 'int4', 'current number of clients', ({ clients }) => clients],
  ],
})

/** PgBouncer prints these numbers as right-aligned text. */
function size(value: number | null): string {
  return value === null ? '' : String(value).padStart(9)
}
