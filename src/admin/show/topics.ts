/** THE table of topics for SHOW. To add a topic, add its file and a row here. */

import { activeSockets, sockets } from './all-sockets.ts'
import { clients } from './clients.ts'
import { config } from './config.ts'
import { databases } from './databases.ts'
import { dnsHosts, dnsZones } from './dns.ts'
import { latencies } from './latencies.ts'
import { lists } from './lists.ts'
import { mem } from './mem.ts'
import { peerPools, peers } from './peers.ts'
import { pools } from './pools.ts'
import { servers } from './servers.ts'
import { state } from './state.ts'
import { stats, statsAverages, statsTotals, totals } from './stats.ts'
import type { Topic } from './topic.ts'
import { users } from './users.ts'
import { version } from './version.ts'
import { workers } from './workers.ts'

export const TOPICS: ReadonlyMap<string, Topic> = new Map(
  Object.entries({
    config,
    databases,
    pools,
    clients,
    servers,
    sockets,
    active_sockets: activeSockets,
    users,
    workers,
    version,
    lists,
    latencies,
    state,
    stats,
    stats_totals: statsTotals,
    stats_averages: statsAverages,
    totals,
    peers,
    peer_pools: peerPools,
    dns_hosts: dnsHosts,
    dns_zones: dnsZones,
    mem,
  }),
)

/** Topics of PgBouncer that pgweir does not support on purpose. The error says why and names an alternative. */
export const REFUSED_TOPICS: ReadonlyMap<string, string> = new Map([
  [
    'fds',
    'It passes the sockets of a process to its successor (-R). This loses the rest of the state of each session, and PgBouncer has deprecated it, too. Start the successor with so_reuseport and stop the other process with SHUTDOWN WAIT_FOR_CLIENTS, or use RESTART WORKERS. SHOW SOCKETS lists connections',
  ],
])
