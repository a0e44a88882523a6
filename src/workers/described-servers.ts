/** Describes the servers of a pool: each one, and how many are in each of PgBouncer's groups. Pure. */

import type { Session } from '../client/session.ts'
import type { Pool } from '../pool/pool.ts'
import type { Server } from '../server/server.ts'
import { SERVER_STATES, type ServerState } from '../server/states.ts'
import { SERVER_GROUPS, type ServerGroup, type ServerSnapshot } from './fleet.ts'

type OpenState = Exclude<ServerState, 'closing' | 'closed'>

/** A server that is closing is not shown, though Postgres may still count it. */
const OPEN_STATES = SERVER_STATES.filter((state): state is OpenState => state !== 'closing' && state !== 'closed')

const GROUPS: Readonly<Record<Exclude<OpenState, 'idle'>, ServerGroup>> = {
  dialing: 'new',
  login: 'new',
  checking: 'tested',
  cleaning: 'tested',
  aligning: 'active',
  leased: 'active',
  restoring: 'active',
  canceling: 'being_canceled',
}

/** @param holders the sessions that hold servers */
export function describeServers(pool: Pool, holders: ReadonlyMap<Server, Session>): ServerSnapshot[] {
  const servers: ServerSnapshot[] = []
  for (const state of OPEN_STATES)
    for (const server of pool.servers(state))
      servers.push(describe(pool, server, groupOf(pool, server, state), holders.get(server) ?? null))
  return servers
}

export function countServers(pool: Pool): Record<ServerGroup, number> {
  const counts = noServers()
  for (const state of OPEN_STATES) for (const server of pool.servers(state)) counts[groupOf(pool, server, state)]++
  return counts
}

export function noServers(): Record<ServerGroup, number> {
  return Object.fromEntries(SERVER_GROUPS.map((group) => [group, 0])) as Record<ServerGroup, number>
}

function groupOf(pool: Pool, server: Server, state: OpenState): ServerGroup {
  if (state === 'idle') return pool.needsCheck(server) ? 'used' : 'idle'
  return GROUPS[state]
}

function describe(pool: Pool, server: Server, group: ServerGroup, holder: Session | null): ServerSnapshot {
  const { id, startedMs, startedWallMs, peer, local, tls, pid, profile } = server
  // 0 if its client has not asked for anything yet.
  const requestMs = holder?.handler?.requestMs || server.usedMs
  return {
    id,
    user: pool.user,
    database: pool.database,
    replication: pool.options.replication,
    state: group,
    peer,
    local,
    tls,
    connectedAt: startedWallMs,
    requestedAt: startedWallMs + requestMs - startedMs,
    isCondemned: server.condemned !== null,
    clientId: holder?.id ?? null,
    pid,
    applicationName: profile.values[pool.options.tracked.place('application_name')] ?? '',
    preparedStatements: server.statements.size,
    owedBytes: server.owedBytes,
  }
}
