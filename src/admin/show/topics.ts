/** THE table of what may follow SHOW. To add a SHOW, add its file and a row here. */

import { clients } from './clients.ts'
import { config } from './config.ts'
import { databases } from './databases.ts'
import { dnsHosts, dnsZones } from './dns.ts'
import { latencies } from './latencies.ts'
import { lists } from './lists.ts'
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
  }),
)

/** PgBouncer has these; each becomes a row above in a later release. */
export const LATER_TOPICS: readonly string[] = ['active_sockets', 'fds', 'mem', 'sockets']
