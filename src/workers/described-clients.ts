/** Describes a session: as a client, as one that is logging in, and the transaction that it runs. Pure. */

import type { Session } from '../client/session.ts'
import type { Server } from '../server/server.ts'
import {
  type ClientSnapshot,
  type ClientState,
  CONSOLE_NAME,
  type NewcomerSnapshot,
  type TransactionSnapshot,
} from './fleet.ts'

/** Returns null for a session that is logging in or ending: PgBouncer does not show these either. */
export function clientState({ state, relay }: Session): ClientState | null {
  switch (state) {
    case 'welcoming':
      return 'waiting'
    case 'waiting':
      // A server is taking over its settings, so it has left the queue.
      return relay?.promised ? 'active' : 'waiting'
    case 'active':
    case 'idle':
      return state
    default:
      return null
  }
}

export function isOnConsole(session: Session): boolean {
  return session.handler !== null && session.relay === null
}

/** The server that it holds, or that is being prepared for it. */
export function serverOf({ relay }: Session): Server | null {
  return relay === null ? null : (relay.server ?? relay.promised)
}

/** How long it has been queued. */
export function waitUs({ waiter }: Session, state: ClientState, nowMs: number): number {
  return waiter === null || state !== 'waiting' ? 0 : Math.round((nowMs - waiter.waitingSinceMs) * 1000)
}

/** How long its transaction has run; null if none is running. */
export function transactionUs({ relay }: Session, nowMs: number): number | null {
  const beganMs = relay?.transactionMs ?? null
  return beganMs === null ? null : Math.round((nowMs - beganMs) * 1000)
}

/** Returns null if PgBouncer does not show it among its clients. */
export function describeClient(session: Session, nowMs: number): ClientSnapshot | null {
  const state = clientState(session)
  return state === null ? null : describe(session, state, nowMs)
}

/** Returns null if it is not logging in. */
export function describeNewcomer(session: Session, nowMs: number): NewcomerSnapshot | null {
  if (session.state !== 'greeting' && session.state !== 'authenticating') return null
  return { ...describe(session, 'idle', nowMs), database: '', state: 'login' }
}

/** Returns null if no transaction is running, or if its client is not shown. */
export function describeTransaction(session: Session, nowMs: number): TransactionSnapshot | null {
  const ageUs = transactionUs(session, nowMs)
  if (ageUs === null || clientState(session) === null) return null
  const { id, user, database, channel, applicationName, relay } = session
  return {
    ...{ clientId: id, user: user ?? '', poolUser: poolUserOf(session), database: database ?? '' },
    ...{ peer: channel.peer, applicationName },
    ...{ ageUs, isRunning: relay?.server?.ledger.isEmpty === false },
  }
}

function describe(session: Session, state: ClientState, nowMs: number): ClientSnapshot {
  const { id, channel, handler, connectedMs, connectedWallMs } = session
  const requestMs = handler?.requestMs || connectedMs
  return {
    id,
    user: session.user ?? '',
    poolUser: poolUserOf(session),
    database: isOnConsole(session) ? CONSOLE_NAME : (session.database ?? ''),
    replication: isOnConsole(session) ? 'none' : session.replication,
    state,
    peer: channel.peer,
    local: channel.local,
    tls: channel.tls,
    connectedAt: connectedWallMs,
    requestedAt: connectedWallMs + requestMs - connectedMs,
    waitUs: waitUs(session, state, nowMs),
    serverId: serverOf(session)?.id ?? null,
    applicationName: session.applicationName,
    preparedStatements: handler?.preparedStatements ?? 0,
    owedBytes: channel.owedBytes,
  }
}

function poolUserOf({ waiter }: Session): string | null {
  return waiter?.pool.user ?? null
}
