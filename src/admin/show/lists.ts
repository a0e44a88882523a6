/** SHOW LISTS. */

import type { Lists } from '../../workers/fleet.ts'
import { topic } from './topic.ts'

interface Item {
  readonly list: string
  readonly items: number
}

export const lists = topic<Item>({
  help: 'How much there is of what. What pgweir has none of is 0: free objects, and DNS queries that are not under way yet.',
  rows: async ({ fleet }) => itemsOf(await fleet.lists()),
  columns: [
    ['list', 'text', 'what is counted', ({ list }) => list],
    ['items', 'int4', 'how many there are', ({ items }) => items],
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
