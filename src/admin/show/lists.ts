/** SHOW LISTS. */

import type { Lists } from '../../workers/fleet.ts'
import { topic } from './topic.ts'

interface Item {
  readonly list: string
  readonly items: number
}

export const lists = topic<Item>({
  help: 'Numbers of objects of each kind. Free objects and pending DNS queries do not exist in pgweir and are always 0.',
  rows: async ({ fleet }) => itemsOf(await fleet.lists()),
  columns: [
    ['list', 'text', 'what is counted', ({ list }) => list],
    ['items', 'int4', 'number', ({ items }) => items],
  ],
})

function itemsOf(counted: Lists): Item[] {
  const items = {
    databases: counted.databases,
    users: counted.users,
    peers: counted.peers,
    pools: counted.pools,
    peer_pools: counted.peers,
    free_clients: 0,
    used_clients: counted.clients,
    login_clients: counted.clientsLoggingIn,
    free_servers: 0,
    used_servers: counted.servers,
    dns_names: counted.names,
    dns_zones: counted.zones,
    dns_queries: counted.asked,
    dns_pending: 0,
  }
  return Object.entries(items).map(([list, count]) => ({ list, items: count }))
}
