/** THE table of what the primary and its workers say to each other, by either side's `Line`. All of it is plain data. */

import type { Address } from '../net/channel.ts'
import type { NameSnapshot } from '../net/names/names.ts'
import type { ZoneSnapshot } from '../net/names/zones.ts'
import type { Span, Totals } from '../pool/averages.ts'
import type { ServerEncryption } from '../server/encryption.ts'
import type { PackedAccounts } from './accounts.ts'
import type { ClientClaim } from './admissions.ts'
import type { ControlCall } from './control.ts'
import type {
  ClientSnapshot,
  DatabaseSnapshot,
  DatabaseStats,
  FleetState,
  LatencySnapshot,
  Lists,
  MemorySnapshot,
  NewcomerSnapshot,
  PeerSnapshot,
  PoolSnapshot,
  ServerSnapshot,
  TransactionSnapshot,
  UserSnapshot,
  WorkerSnapshot,
} from './fleet.ts'
import type { Circumstances } from './health.ts'
import type { Packed } from './packing.ts'
import type { Vitals } from './vitals.ts'

/** Something that one side tells or asks; null where there is no answer but that it was done. */
interface Message<Sent, Answer = null> {
  readonly sent: Sent
  readonly answer: Answer
}

/** What a worker knows of itself, or the primary of all. */
export interface Gatherable {
  /** There may be many thousands, and of pools and databases many hundreds, which are asked for every few seconds. */
  readonly clients: Packed<ClientSnapshot>
  readonly newcomers: readonly NewcomerSnapshot[]
  readonly servers: readonly ServerSnapshot[]
  readonly transactions: readonly TransactionSnapshot[]
  readonly pools: Packed<PoolSnapshot>
  readonly databases: Packed<DatabaseSnapshot>
  readonly users: readonly UserSnapshot[]
  readonly peers: readonly PeerSnapshot[]
  readonly names: readonly NameSnapshot[]
  readonly zones: readonly ZoneSnapshot[]
  readonly memory: readonly MemorySnapshot[]
  readonly stats: readonly DatabaseStats[]
  readonly lists: Lists
  readonly latencies: readonly LatencySnapshot[]
  readonly accounts: PackedAccounts
  readonly vitals: Vitals
  readonly state: FleetState
  readonly circumstances: Circumstances
}

export type Topic = keyof Gatherable

/** How a worker fares. */
export interface Beat {
  readonly clients: number
  readonly servers: number
  /** Since its start, user and system. */
  readonly cpuUs: number
  readonly residentBytes: number
  /** The longest that its event loop was late in the last second. */
  readonly delayUs: number
}

export interface PoolOpened {
  readonly pool: number
  readonly database: string
  readonly user: string
  /** See `ShareHolder`. */
  readonly keepsServers: boolean
}

/** What a pool of a worker wants and has, for whoever grants permits. Times are ages: the clocks of two processes begin differently. */
export interface PoolFigures {
  /** Permits, in all. */
  readonly wanted: number
  /** Clients that wait for a server. */
  readonly waiting: number
  readonly fillsMinimum: boolean
  /** How long the first of them has waited; null if none does. */
  readonly waitedMs: number | null
  /** How long its least recently used idle server has been idle; null if none is. */
  readonly idleMs: number | null
}

/** What a server has reported that was opened in some way. */
export interface Welcomed {
  /** A word for all that decides it. */
  readonly how: string
  readonly values: ReadonlyMap<string, string>
}

export type ToPrimary = {
  readonly beat: Message<Beat>
  /** What it has done since its start, by database: told with each beat, and as its last word. */
  readonly totals: Message<ReadonlyMap<string, Totals>>
  /** Its last word on all that it has ever counted. */
  readonly accounts: Message<PackedAccounts>
  /** A client wants in: null if there is room under all of the limits, otherwise the first that is full. */
  readonly claim: Message<readonly ClientClaim[], ClientClaim | null>
  /** The same of a client that has not proved yet who it is, and is not counted. */
  readonly look: Message<readonly ClientClaim[], ClientClaim | null>
  /** A client is in that no limit could have kept out; counted in case that there will be one. */
  readonly count: Message<readonly ClientClaim[]>
  readonly release: Message<readonly ClientClaim[]>
  /** A login from there has failed: for how many milliseconds is the answer held back? */
  readonly loginFailed: Message<string, number>
  /** Connections that it has accepted and that are still open. */
  readonly load: Message<number>
  /** The same, after one more: the primary says `accept` to it. */
  readonly accepted: Message<number>
  /** A pool has been made; from now on it has this number. */
  readonly permitsOpen: Message<PoolOpened>
  /** What a pool wants has changed, or its figures were asked for. */
  readonly permitsAsk: Message<{ readonly pool: number; readonly figures: PoolFigures }>
  readonly permitBack: Message<{ readonly pool: number; readonly figures: PoolFigures }>
  /** The pool was told to give up an idle server, and has none any more. */
  readonly permitMissed: Message<number>
  readonly permitsClose: Message<number>
  /** Postgres has no room for a server of the pool, and the worker has no other: whether other workers have some that are to be shared. */
  readonly permitsRefused: Message<number, boolean>
  /** A server is ready, and can be told to cancel what it does, should the worker die. */
  readonly serverOpened: Message<BackendKey>
  /** It is closed. */
  readonly serverClosed: Message<number>
  /** What the whole fleet has to say. */
  readonly gather: Message<Topic, Gatherable[Topic]>
  readonly workers: Message<null, readonly WorkerSnapshot[]>
  /** To be done by all workers. */
  readonly control: Message<ControlCall, unknown>
  /** Answered when the request can hit nothing any more. */
  readonly cancel: Message<CancelKeyBytes>
  /** A server was opened: with what it has reported, clients can be welcomed everywhere. */
  readonly welcomed: Message<Welcomed>
  /** Tables of this database have changed: statements are to be prepared anew. Answered when all other workers know. */
  readonly schema: Message<string>
}

export type ToWorker = {
  readonly permitGranted: Message<{ readonly pool: number; readonly usesReserve: boolean }>
  /** It is to give one up; clients of its own that have waited for longer than `sparedMs` are served first, null spares none. */
  readonly permitRecalled: Message<{
    readonly pool: number
    readonly because: string
    readonly sparedMs: number | null
    /** The next server that comes free, rather than one that is idle. It is off once nobody waits any more: see `permitsKept`. */
    readonly isTurn: boolean
  }>
  /** Nobody waits any more for what this pool was to give up as its turn ended, and there are not too many. */
  readonly permitsKept: Message<number>
  /** How many servers the pool must keep for the sake of `min_pool_size`. */
  readonly permitFloor: Message<{ readonly pool: number; readonly floor: number }>
  /** The figures of these pools are asked for. */
  readonly permitsPoll: Message<readonly number[]>
  /** The first word. Answered once it serves clients, with where they are accepted. */
  readonly start: Message<StartOrder, readonly Address[]>
  readonly gather: Message<Topic, Gatherable[Topic]>
  readonly control: Message<ControlCall, unknown>
  /** Other settings, which the primary has found to be good. */
  readonly settings: Message<unknown>
  /** A period of averages ends: what has happened in it? */
  readonly endPeriod: Message<null, Span>
  readonly cancel: Message<CancelKeyBytes>
  readonly schema: Message<string>
  readonly welcomed: Message<Welcomed>
  /** Whether it should accept connections: not while it has more than its share. `heard` is how many more it has told of that the primary knows of now. */
  readonly accept: Message<{ readonly accepts: boolean; readonly heard: number }>
  /** Takes no new clients; ends when the last one has gone, whom it sends away politely after so long. */
  readonly drain: Message<{ readonly graceMs: number }>
  /** Ends at once: clients are told so. */
  readonly stop: Message<null>
}

export interface StartOrder {
  /** What operators have said so far that goes for this worker, too. */
  readonly standing: readonly ControlCall[]
  /** What other workers know of servers. */
  readonly welcomed: readonly Welcomed[]
  /** Names the worker in cancel keys and in the ids of its clients and servers. */
  readonly number: number
  /** What whoever builds the pooler makes of it: the settings. */
  readonly work: unknown
}

/** Goes to the primary by itself, and with a second handle of the server's connection: the primary sees to its end if the worker dies. Not by a `Line`, which carries plain data. */
export interface ServerConnected {
  readonly connected: {
    readonly id: number
    /** The number of the permits that it was opened under. */
    readonly pool: number
  }
}

export function isServerConnected(message: unknown): message is ServerConnected {
  return typeof message === 'object' && message !== null && 'connected' in message
}

/** What it takes to cancel the query of a backend. */
export interface BackendKey {
  /** Of the server in its worker. */
  readonly id: number
  readonly address: Address
  readonly pid: number
  /** In hexadecimal. */
  readonly secret: string
  /** Null if its connection is not encrypted. */
  readonly tls: BackendTls | null
}

/** How the connection of a backend is encrypted: a cancel request shall be no less. */
export interface BackendTls extends Pick<ServerEncryption, 'verifies' | 'isDirect'> {
  /** What its certificate must be for. */
  readonly host: string
}

export interface CancelKeyBytes {
  /** The number of the worker whose client it belongs to. */
  readonly worker: number
  readonly pid: number
  /** The secret in hexadecimal. */
  readonly secret: string
}
