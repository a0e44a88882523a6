/** Puts together what the workers of a fleet report about themselves, as if one process had reported it. Pure. */

import { addLengths } from '../base/histogram.ts'
import type { NameSnapshot } from '../net/names/names.ts'
import type { ZoneSnapshot } from '../net/names/zones.ts'
import { sumOf } from '../pool/averages.ts'
import {
  type ClientState,
  type DatabaseSnapshot,
  type DatabaseStats,
  type LatencySnapshot,
  type Lists,
  LONGEST_TRANSACTIONS,
  type MemorySnapshot,
  type PeerSnapshot,
  type PoolSnapshot,
  SERVER_GROUPS,
  type ServerGroup,
  type TransactionSnapshot,
  type UserSnapshot,
} from './fleet.ts'

export function mergePools(parts: readonly (readonly PoolSnapshot[])[]): PoolSnapshot[] {
  return merge(
    parts,
    ({ database, user }) => `${database}\0${user}`,
    (one, other) => ({
      ...one,
      clients: addAll(CLIENT_STATES, one.clients, other.clients),
      servers: addAll<ServerGroup>(SERVER_GROUPS, one.servers, other.servers),
      cancels: addAll(CANCEL_STATES, one.cancels, other.cancels),
      permits: one.permits + other.permits,
      longestWaitUs: Math.max(one.longestWaitUs, other.longestWaitUs),
      oldestTransactionUs: Math.max(one.oldestTransactionUs, other.oldestTransactionUs),
    }),
  )
}

export function longestTransactions(parts: readonly (readonly TransactionSnapshot[])[]): TransactionSnapshot[] {
  return parts
    .flat()
    .sort((one, other) => other.ageUs - one.ageUs)
    .slice(0, LONGEST_TRANSACTIONS)
}

export function mergeLatencies(parts: readonly (readonly LatencySnapshot[])[]): LatencySnapshot[] {
  return merge(
    parts,
    ({ database, user }) => `${database}\0${user}`,
    (one, other) => ({
      ...one,
      query: addLengths(one.query, other.query),
      transaction: addLengths(one.transaction, other.transaction),
      wait: addLengths(one.wait, other.wait),
    }),
  )
}

/** Settings are the same in all workers; counts are added up. */
export function mergeDatabases(parts: readonly (readonly DatabaseSnapshot[])[]): DatabaseSnapshot[] {
  return merge(parts, ({ name }) => name, addConnections)
}

export function mergeUsers(parts: readonly (readonly UserSnapshot[])[]): UserSnapshot[] {
  return merge(parts, ({ name }) => name, addConnections)
}

/** Each worker passes requests on to the peers by itself. */
export function mergePeers(parts: readonly (readonly PeerSnapshot[])[]): PeerSnapshot[] {
  return merge(
    parts,
    ({ id }) => String(id),
    (one, other) => ({ ...one, cancels: addAll(PEER_CANCEL_STATES, one.cancels, other.cancels) }),
  )
}

/** Each worker looks up names by itself, at its own times. */
export function mergeNames(parts: readonly (readonly NameSnapshot[])[]): NameSnapshot[] {
  return merge(
    parts,
    ({ host }) => host,
    (one, other) => ({
      host: one.host,
      ttlMs: Math.min(one.ttlMs, other.ttlMs),
      addresses: [...new Set([...one.addresses, ...other.addresses])],
      isAsked: one.isAsked || other.isAsked,
    }),
  )
}

export function mergeZones(parts: readonly (readonly ZoneSnapshot[])[]): ZoneSnapshot[] {
  return merge(
    parts,
    ({ zone }) => zone,
    (one, other) => ({
      zone: one.zone,
      serial: Math.max(one.serial, other.serial),
      hosts: Math.max(one.hosts, other.hosts),
    }),
  )
}

export function mergeMemory(parts: readonly (readonly MemorySnapshot[])[]): MemorySnapshot[] {
  return merge(
    parts,
    ({ name }) => name,
    (one, other) => ({
      name: one.name,
      usedBytes: one.usedBytes + other.usedBytes,
      freeBytes: one.freeBytes + other.freeBytes,
    }),
  )
}

export function mergeStats(parts: readonly (readonly DatabaseStats[])[]): DatabaseStats[] {
  return merge(
    parts,
    ({ database }) => database,
    (one, other) => ({
      database: one.database,
      totals: sumOf([one.totals, other.totals]),
      recent: {
        // Periods end in all workers at the same time. Only a worker that has started since has a shorter one.
        ms: Math.max(one.recent.ms, other.recent.ms),
        totals: sumOf([one.recent.totals, other.recent.totals]),
      },
    }),
  )
}

/** What all workers know by name counts once (`known`). What each worker has of its own is added up. */
export function mergeLists(
  parts: readonly Lists[],
  known: Pick<Lists, 'databases' | 'users' | 'peers' | 'pools' | 'names' | 'zones'>,
): Lists {
  const lists = { ...known, clients: 0, clientsLoggingIn: 0, servers: 0, asked: 0 }
  for (const part of parts) {
    lists.clients += part.clients
    lists.clientsLoggingIn += part.clientsLoggingIn
    lists.servers += part.servers
    lists.asked += part.asked
  }
  return lists
}

const CLIENT_STATES: readonly ClientState[] = ['active', 'idle', 'waiting']
const CANCEL_STATES = ['sent', 'waiting'] as const
const PEER_CANCEL_STATES = ['waiting', 'dialing', 'sent'] as const

function addConnections<Row extends { readonly servers: number; readonly clients: number }>(one: Row, other: Row): Row {
  return { ...one, servers: one.servers + other.servers, clients: one.clients + other.clients }
}

function addAll<Key extends string>(
  keys: readonly Key[],
  one: Readonly<Record<Key, number>>,
  other: Readonly<Record<Key, number>>,
): Record<Key, number> {
  // Cheap, since it runs for hundreds of pools of several processes every few seconds.
  const sum = { ...one } as Record<Key, number>
  for (const key of keys) sum[key] += other[key]
  return sum
}

/** Returns one row for each key, in the order in which the keys first appear. */
function merge<Row>(
  parts: readonly (readonly Row[])[],
  keyOf: (row: Row) => string,
  add: (one: Row, other: Row) => Row,
): Row[] {
  const rows = new Map<string, Row>()
  for (const part of parts) {
    for (const row of part) {
      const key = keyOf(row)
      const known = rows.get(key)
      rows.set(key, known === undefined ? row : add(known, row))
    }
  }
  return [...rows.values()]
}
