/** What the console and the metrics may ask, whether one process answers or many: plain data, taken at one moment. */

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
  /** Those that are logging in. */
  newcomers(): Promise<readonly NewcomerSnapshot[]>
  servers(): Promise<readonly ServerSnapshot[]>
  /** Those that have run for longest, the longest first: LONGEST_TRANSACTIONS at most. */
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
  /** What decides about `healthOf`. */
  circumstances(): Promise<Circumstances>
  workers(): Promise<readonly WorkerSnapshot[]>
  readonly control: Control
}

/** The console is a database, a pool and a user too: under the name by which PgBouncer's tools know it. */
export const CONSOLE_NAME = 'pgbouncer'

export type ClientState = 'active' | 'idle' | 'waiting'

/** Logged in, or waiting for a server to be logged in with. Moments are milliseconds since 1970. */
export interface ClientSnapshot {
  readonly id: number
  readonly user: string
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
  /** The server that it holds. */
  readonly serverId: number | null
  readonly applicationName: string
  readonly preparedStatements: number
  /** Of what was written to it, and the kernel has not taken yet. */
  readonly owedBytes: number
}

/** The user is the one that it says to be, or empty. */
export type NewcomerSnapshot = Omit<ClientSnapshot, 'state'> & { readonly state: 'login' }

/** As PgBouncer calls them: `used` has been idle for so long that it is checked before it is used, `tested` is being checked or reset. */
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
  /** Of the process that serves it. */
  readonly pid: number
  readonly applicationName: string
  readonly preparedStatements: number
  /** Of what was written to it, and the kernel has not taken yet. */
  readonly owedBytes: number
}

/** How many of those that run are told. */
export const LONGEST_TRANSACTIONS = 10

/** One that runs. */
export interface TransactionSnapshot {
  readonly clientId: number
  readonly user: string
  readonly database: string
  readonly peer: Address
  readonly applicationName: string
  /** For how long. */
  readonly ageUs: number
  /** Whether its client waits for an answer; otherwise the server waits for the client. */
  readonly isRunning: boolean
}

export interface PoolSnapshot {
  readonly database: string
  readonly user: string
  readonly mode: PoolMode
  /** null where there is one host. */
  readonly balance: Balance | null
  readonly clients: Readonly<Record<ClientState, number>>
  readonly servers: Readonly<Record<ServerGroup, number>>
  /** Cancel requests: on their way to a server, and not yet sent. */
  readonly cancels: { readonly sent: number; readonly waiting: number }
  readonly longestWaitUs: number
  /** 0 where none runs. */
  readonly oldestTransactionUs: number
  /** How many servers it may have, all processes together; 0 is no limit. */
  readonly maxServers: number
  /** Permits that are out: those of servers that are being closed are not back yet. */
  readonly permits: number
}

/** Limits of 0 are none. */
export interface DatabaseSnapshot {
  readonly name: string
  /** null where it is our own unix socket, and for the console. */
  readonly host: string | null
  readonly port: number
  /** Its name on the server. */
  readonly database: string
  readonly forcedUser: string | null
  readonly poolSize: number
  readonly minPoolSize: number
  readonly reservePoolSize: number
  readonly serverLifetimeMs: number
  /** null where the general one applies. */
  readonly poolMode: PoolMode | null
  readonly balance: Balance | null
  readonly maxServers: number
  readonly servers: number
  readonly maxClients: number
  readonly clients: number
  /** By PAUSE or KILL of this database. */
  readonly isPaused: boolean
  readonly isDisabled: boolean
}

/** null where the general value, or that of the database, applies. */
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
  /** By how far they have come. */
  readonly cancels: { readonly waiting: number; readonly dialing: number; readonly sent: number }
}

/** Of one kind of memory. */
export interface MemorySnapshot {
  readonly name: string
  readonly usedBytes: number
  /** It has been got from the system, and is not in use. */
  readonly freeBytes: number
}

export interface DatabaseStats {
  readonly database: string
  /** Since the start. */
  readonly totals: Totals
  /** What averages are taken over. */
  readonly recent: Span
}

/** How long everything took in one pool, since it began. */
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
  /** Names that are being asked for. */
  readonly asked: number
}

export interface WorkerSnapshot {
  readonly number: number
  readonly pid: number
  /** `silent`: it serves, but seems to hang. What it knows is missing wherever all are asked. */
  readonly state: Exclude<WorkerState, 'gone'> | 'silent'
  readonly startedAt: number
  readonly clients: number
  readonly servers: number
  /** Since its start, user and system. */
  readonly cpuUs: number
  readonly residentBytes: number
  /** The longest that its event loop was late of late. */
  readonly delayUs: number
  /** How often workers in its place have been replaced because they had crashed or hung. */
  readonly restarts: number
}

export type FleetState = 'active' | 'paused' | 'suspended'
