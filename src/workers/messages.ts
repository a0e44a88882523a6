/** THE table of messages between the primary and its workers, which travel over each side's `Line`. All of them are plain data. */

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

/** What one side sends, and what the other answers if it is asked. An answer of null says only that it was done. */
interface Message<Sent, Answer = null> {
  readonly sent: Sent
  readonly answer: Answer
}

/** What a worker reports about itself, or the primary about the whole fleet. */
export interface Gatherable {
  /** Packed, as are pools and databases: there may be many thousands of clients and many hundreds of those, requested every few seconds. */
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

/** What a worker reports about itself every second. */
export interface Beat {
  readonly clients: number
  readonly servers: number
  /** CPU time since its start, user and system. */
  readonly cpuUs: number
  readonly residentBytes: number
  /** The longest delay of its event loop in the last second. */
  readonly delayUs: number
}

export interface PoolOpened {
  readonly pool: number
  readonly database: string
  readonly user: string
  /** See `ShareHolder`. */
  readonly keepsServers: boolean
}

/**
 * What a pool of a worker wants and has, for the primary, which grants permits. Times are ages, because the clocks of two processes begin at
 * different moments.
 */
export interface PoolFigures {
  /** How many permits it wants in total, including those that it holds. */
  readonly wanted: number
  /** Clients that wait for a server. */
  readonly waiting: number
  readonly fillsMinimum: boolean
  /** How long the first of them has waited; null if none waits. */
  readonly waitedMs: number | null
  /** How long its least recently used idle server has been idle; null if none is. */
  readonly idleMs: number | null
}

/** The parameter values that a server has reported. */
export interface Welcomed {
  /** Identifies the way in which the server was opened: a digest of everything that decides what it reports. */
  readonly how: string
  readonly values: ReadonlyMap<string, string>
}

export type ToPrimary = {
  readonly beat: Message<Beat>
  /** What it has counted since its start, by database: sent with each beat, and once more before it ends. */
  readonly totals: Message<ReadonlyMap<string, Totals>>
  /** Everything that it has ever counted, sent as its last message. */
  readonly accounts: Message<PackedAccounts>
  /** Counts a client that wants to log in. The answer is null if there is room under all of the limits, otherwise the first limit that is full. */
  readonly claim: Message<readonly ClientClaim[], ClientClaim | null>
  /** The same for a client that has not been authenticated yet, and is not counted. */
  readonly look: Message<readonly ClientClaim[], ClientClaim | null>
  /** A client has been let in without asking, since no limit applies to it. It is counted in case a limit is set later. */
  readonly count: Message<readonly ClientClaim[]>
  readonly release: Message<readonly ClientClaim[]>
  /** A login from this place has failed. The answer is for how many milliseconds the error is held back from the client. */
  readonly loginFailed: Message<string, number>
  /** The number of open connections that it has accepted. */
  readonly load: Message<number>
  /** The same, after it has accepted one more. The primary replies with `accept`. */
  readonly accepted: Message<number>
  /** A pool has been created. From now on this number identifies it. */
  readonly permitsOpen: Message<PoolOpened>
  /** What a pool wants has changed, or the primary asked for its figures. */
  readonly permitsAsk: Message<{ readonly pool: number; readonly figures: PoolFigures }>
  readonly permitBack: Message<{ readonly pool: number; readonly figures: PoolFigures }>
  /** The pool was told to give up an idle server, and no longer has one. */
  readonly permitMissed: Message<number>
  readonly permitsClose: Message<number>
  /**
   * Postgres has no room for another server of the pool, and the worker has none. The answer is whether other workers have servers that will be
   * shared.
   */
  readonly permitsRefused: Message<number, boolean>
  /** A server is ready. With its key, the primary can cancel its query if the worker dies. */
  readonly serverOpened: Message<BackendKey>
  /** The server with this id is closed. */
  readonly serverClosed: Message<number>
  /** The answer is the report of the whole fleet. */
  readonly gather: Message<Topic, Gatherable[Topic]>
  readonly workers: Message<null, readonly WorkerSnapshot[]>
  /** A console command, to be carried out by all workers. */
  readonly control: Message<ControlCall, unknown>
  /** A cancel request for a client of another worker. Answered once it can no longer hit any query. */
  readonly cancel: Message<CancelKeyBytes>
  /** A server was opened. With the values that it has reported, clients can log in to any worker before that has a server. */
  readonly welcomed: Message<Welcomed>
  /** Tables of this database have changed, so statements have to be prepared anew. Answered when all other workers know. */
  readonly schema: Message<string>
}

export type ToWorker = {
  readonly permitGranted: Message<{ readonly pool: number; readonly usesReserve: boolean }>
  /** The pool must give up a permit. Its own clients that have waited for longer than `sparedMs` are served first; null spares none. */
  readonly permitRecalled: Message<{
    readonly pool: number
    readonly because: string
    readonly sparedMs: number | null
    /**
     * True: if no server is idle, the next one that comes free goes; `permitsKept` revokes that. False: only an idle server is meant, and
     * without one the worker replies with `permitMissed`.
     */
    readonly isTurn: boolean
  }>
  /** No client waits any more for what this pool was to give up at the end of its turn, and not too many permits are held. */
  readonly permitsKept: Message<number>
  /** How many servers the pool must keep for `min_pool_size`. */
  readonly permitFloor: Message<{ readonly pool: number; readonly floor: number }>
  /** Asks for the figures of these pools. */
  readonly permitsPoll: Message<readonly number[]>
  /** The first message. Answered once the worker serves clients, with the addresses on which it accepts them. */
  readonly start: Message<StartOrder, readonly Address[]>
  readonly gather: Message<Topic, Gatherable[Topic]>
  readonly control: Message<ControlCall, unknown>
  /** New settings, which the primary has found to be valid. */
  readonly settings: Message<unknown>
  /** A period of averages ends. The answer is what was counted in it. */
  readonly endPeriod: Message<null, Span>
  readonly cancel: Message<CancelKeyBytes>
  readonly schema: Message<string>
  readonly welcomed: Message<Welcomed>
  /**
   * Whether the worker may accept connections: not while it has more than its share. `heard` is how many more of its `accepted` messages the
   * primary has received.
   */
  readonly accept: Message<{ readonly accepts: boolean; readonly heard: number }>
  /**
   * The worker takes no new clients and ends when the last one has left. After `graceMs` it sends away those that are left, each after its
   * transaction.
   */
  readonly drain: Message<{ readonly graceMs: number }>
  /** The worker ends at once, and tells its clients. */
  readonly stop: Message<null>
}

export interface StartOrder {
  /** Console commands given so far that apply to this worker too. */
  readonly standing: readonly ControlCall[]
  /** What other workers have learned about servers. */
  readonly welcomed: readonly Welcomed[]
  /** Identifies the worker in cancel keys and in the ids of its clients and servers. */
  readonly number: number
  /** Data for the code that builds the pooler: the settings. */
  readonly work: unknown
}

/**
 * Sent to the primary together with a second handle of the server's connection, so that the primary can end the server properly if the worker
 * dies. Not sent over a `Line`, which carries only plain data.
 */
export interface ServerConnected {
  readonly connected: {
    readonly id: number
    /** The number of the pool whose permit it was opened under. */
    readonly pool: number
  }
}

export function isServerConnected(message: unknown): message is ServerConnected {
  return typeof message === 'object' && message !== null && 'connected' in message
}

/** What is needed to cancel the query of a backend. */
export interface BackendKey {
  /** The id of the server in its worker. */
  readonly id: number
  readonly address: Address
  readonly pid: number
  /** In hexadecimal. */
  readonly secret: string
  /** Null if its connection is not encrypted. */
  readonly tls: BackendTls | null
}

/** How the connection of a backend is encrypted. A cancel request must be encrypted no less. */
export interface BackendTls extends Pick<ServerEncryption, 'verifies' | 'isDirect'> {
  /** The host name that its certificate must be for. */
  readonly host: string
}

export interface CancelKeyBytes {
  /** The number of the worker whose client it belongs to. */
  readonly worker: number
  readonly pid: number
  /** The secret in hexadecimal. */
  readonly secret: string
}
