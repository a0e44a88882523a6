/** What the console and the metrics can ask for, whether one process answers or several: plain data, taken at one moment. */

import type { Lengths } from '../base/histogram.ts'
import type { Address } from '../net/channel.ts'
import type { NameSnapshot } from '../net/names/names.ts'
import type { ZoneSnapshot } from '../net/names/zones.ts'
import type { Span, Totals } from '../pool/averages.ts'
import type { Balance } from '../pool/hosts.ts'
import type { PoolMode } from '../pool/settings.ts'
import type { Replication } from '../wire/replication.ts'
import type { Accounts } from './accounts.ts'
import type { Control } from './control.ts'
import type { Circumstances } from './health.ts'
import type { WorkerState } from './states.ts'
import type { Vitals } from './vitals.ts'

export interface Fleet {
  clients(): Promise<readonly ClientSnapshot[]>
  /** Clients that are logging in. */
  newcomers(): Promise<readonly NewcomerSnapshot[]>
  servers(): Promise<readonly ServerSnapshot[]>
  /** The transactions that have run longest, the longest first; at most LONGEST_TRANSACTIONS. */
  transactions(): Promise<readonly TransactionSnapshot[]>
  pools(): Promise<readonly PoolSnapshot[]>
  databases(): Promise<readonly DatabaseSnapshot[]>
  users(): Promise<readonly UserSnapshot[]>
  peers(): Promise<readonly PeerSnapshot[]>
  names(): Promise<readonly NameSnapshot[]>
  zones(): Promise<readonly ZoneSnapshot[]>
  memory(): Promise<readonly MemorySnapshot[]>
  stats(): Promise<readonly DatabaseStats[]>
  lists(): Promise<Lists>
  latencies(): Promise<readonly LatencySnapshot[]>
  accounts(): Promise<Accounts>
  vitals(): Promise<Vitals>
  state(): Promise<FleetState>
  /** The input of `healthOf`. */
  circumstances(): Promise<Circumstances>
  workers(): Promise<readonly WorkerSnapshot[]>
  readonly control: Control
}

/** The console also appears as a database, a pool and a user, under the name that tools for PgBouncer know. */
export const CONSOLE_NAME = 'pgbouncer'

export type ClientState = 'active' | 'idle' | 'waiting'

/** A client that is logged in, or that waits for a server to complete its login. Moments are milliseconds since 1970. */
export interface ClientSnapshot {
  readonly id: number
  readonly user: string
  /** The user of its pool, which is another one if the database has a `user`; null if it has no pool. */
  readonly poolUser: string | null
  readonly database: string
  readonly replication: Replication
  readonly state: ClientState
  readonly peer: Address
  readonly local: Address
  /** As `Channel.tls`. */
  readonly tls: string
  readonly connectedAt: number
  readonly requestedAt: number
  /** How long it has been queued. */
  readonly waitUs: number
  /** The server that it holds, or that is being prepared for it; null if there is none. */
  readonly serverId: number | null
  readonly applicationName: string
  readonly preparedStatements: number
  /** Bytes written to it that the kernel has not taken yet. */
  readonly owedBytes: number
}

/** A client that is logging in. `user` is the one that it claims to be, or empty. */
export type NewcomerSnapshot = Omit<ClientSnapshot, 'state'> & { readonly state: 'login' }

/**
 * Groups of servers as PgBouncer names them: `used` has been idle for so long that it is checked before its next use, `tested` is being checked
 * or reset.
 */
export const SERVER_GROUPS = ['active', 'idle', 'used', 'tested', 'new', 'being_canceled'] as const

export type ServerGroup = (typeof SERVER_GROUPS)[number]

export interface ServerSnapshot {
  readonly id: number
  readonly user: string
  readonly database: string
  readonly replication: Replication
  readonly state: ServerGroup
  readonly peer: Address
  readonly local: Address
  /** As `Channel.tls`. */
  readonly tls: string
  readonly connectedAt: number
  readonly requestedAt: number
  /** It will not be used again. */
  readonly isCondemned: boolean
  readonly clientId: number | null
  /** The process id of its backend. */
  readonly pid: number
  readonly applicationName: string
  readonly preparedStatements: number
  /** Bytes written to it that the kernel has not taken yet. */
  readonly owedBytes: number
}

/** How many running transactions are reported. */
export const LONGEST_TRANSACTIONS = 10

/** A transaction that is running. */
export interface TransactionSnapshot {
  readonly clientId: number
  readonly user: string
  /** As in `ClientSnapshot`. */
  readonly poolUser: string | null
  readonly database: string
  readonly peer: Address
  readonly applicationName: string
  /** How long it has been running. */
  readonly ageUs: number
  /** True if the client waits for an answer of the server; otherwise the server waits for the client. */
  readonly isRunning: boolean
}

export interface PoolSnapshot {
  readonly database: string
  readonly user: string
  readonly mode: PoolMode
  /** null if there is only one host. */
  readonly balance: Balance | null
  readonly clients: Readonly<Record<ClientState, number>>
  readonly servers: Readonly<Record<ServerGroup, number>>
  /** Cancel requests that are on their way to a server, and those that have not been sent yet. */
  readonly cancels: { readonly sent: number; readonly waiting: number }
  readonly longestWaitUs: number
  /** 0 if no transaction is running. */
  readonly oldestTransactionUs: number
  /** The maximum number of servers over all processes; 0 is no limit. */
  readonly maxServers: number
  /** How many permits are in use, including those of servers that are being closed. */
  readonly permits: number
}

/** A limit of 0 is no limit. */
export interface DatabaseSnapshot {
  readonly name: string
  /** null if the entry names no host, so that `unix_socket_dir` applies; also null for the console. */
  readonly host: string | null
  readonly port: number
  /** Its name on the server. */
  readonly database: string
  readonly forcedUser: string | null
  readonly poolSize: number
  readonly minPoolSize: number
  readonly reservePoolSize: number
  readonly serverLifetimeMs: number
  /** null if the general setting applies. */
  readonly poolMode: PoolMode | null
  readonly balance: Balance | null
  readonly maxServers: number
  readonly servers: number
  readonly maxClients: number
  readonly clients: number
  /** Whether a PAUSE or KILL of this database is in effect. */
  readonly isPaused: boolean
  readonly isDisabled: boolean
}

/** A setting is null if the general one, or that of the database, applies. */
export interface UserSnapshot {
  readonly name: string
  readonly poolSize: number | null
  readonly reservePoolSize: number | null
  readonly poolMode: PoolMode | null
  readonly maxServers: number
  readonly servers: number
  readonly maxClients: number
  readonly clients: number
}

/** Another pooler behind the same address, and the cancel requests that are passed on to it. */
export interface PeerSnapshot {
  readonly id: number
  readonly host: string
  readonly port: number
  readonly poolSize: number
  /** How many there are, by how far they have come. */
  readonly cancels: { readonly waiting: number; readonly dialing: number; readonly sent: number }
}

/** How much there is of one kind of memory. */
export interface MemorySnapshot {
  readonly name: string
  readonly usedBytes: number
  /** Obtained from the system, but not in use. */
  readonly freeBytes: number
}

export interface DatabaseStats {
  readonly database: string
  /** Since the start. */
  readonly totals: Totals
  /** The span that averages are computed from. */
  readonly recent: Span
}

/** Durations in one pool since it began. */
export interface LatencySnapshot {
  readonly database: string
  readonly user: string
  readonly query: Lengths
  readonly transaction: Lengths
  readonly wait: Lengths
}

export interface Lists {
  readonly databases: number
  readonly users: number
  readonly peers: number
  readonly pools: number
  readonly clients: number
  readonly clientsLoggingIn: number
  readonly servers: number
  readonly names: number
  readonly zones: number
  /** Host names that are being looked up. */
  readonly asked: number
}

export interface WorkerSnapshot {
  readonly number: number
  readonly pid: number
  /** `silent`: it serves, but seems to hang. Reports of the whole fleet do not include it. */
  readonly state: Exclude<WorkerState, 'gone'> | 'silent'
  readonly startedAt: number
  readonly clients: number
  readonly servers: number
  /** CPU time since its start, user and system. */
  readonly cpuUs: number
  readonly residentBytes: number
  /** The longest delay of its event loop in the last second. */
  readonly delayUs: number
  /** How often a worker in its place was replaced because it had crashed or hung. */
  readonly restarts: number
}

export type FleetState = 'active' | 'paused' | 'suspended'
