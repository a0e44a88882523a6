/** Describes each pool: its clients, its servers, and the cancel requests on their way to them. Pure. */

import type { Session } from '../client/session.ts'
import type { Pool } from '../pool/pool.ts'
import type { Server } from '../server/server.ts'
import { CONSOLE_POOL } from './console-rows.ts'
import { clientState, transactionUs, waitUs } from './described-clients.ts'
import { countServers } from './described-servers.ts'
import type { ClientState, PoolSnapshot } from './fleet.ts'
import { mergePools } from './gather.ts'

/** @param cancels requests that are not over yet */
export function describePools(
  pools: Iterable<Pool>,
  sessions: Iterable<Session>,
  cancels: Iterable<{ readonly server: Server; readonly isSent: boolean }>,
  nowMs: number,
): PoolSnapshot[] {
  const counts = new Map<Pool | null, Count>([[null, new Count()]])
  for (const pool of pools) counts.set(pool, new Count())
  // Sessions without a pool are on the console, which is shown as a pool too.
  for (const session of sessions) counts.get(session.waiter?.pool ?? null)?.add(session, nowMs)
  for (const { server, isSent } of cancels) {
    const count = counts.get(server.context.owner as Pool)
    if (count) count.cancels[isSent ? 'sent' : 'waiting']++
  }
  const rows = [...counts].map(([pool, count]) =>
    pool === null ? { ...CONSOLE_POOL, ...count } : describe(pool, count),
  )
  // A database and user have a pool for each set of birth settings. These are shown as one.
  return mergePools([rows])
}

/** What is counted for a pool by looking at all sessions and cancel requests. */
class Count {
  readonly clients: Record<ClientState, number> = { active: 0, idle: 0, waiting: 0 }
  readonly cancels = { sent: 0, waiting: 0 }
  longestWaitUs = 0
  oldestTransactionUs = 0

  add(session: Session, nowMs: number): void {
    const state = clientState(session)
    if (state === null) return
    this.clients[state]++
    this.longestWaitUs = Math.max(this.longestWaitUs, waitUs(session, state, nowMs))
    this.oldestTransactionUs = Math.max(this.oldestTransactionUs, transactionUs(session, nowMs) ?? 0)
  }
}

function describe(pool: Pool, count: Count): PoolSnapshot {
  const { database, user, settings, balance } = pool
  return {
    database,
    user,
    mode: settings.mode,
    balance,
    maxServers: settings.size,
    permits: pool.connected,
    servers: countServers(pool),
    ...count,
  }
}
