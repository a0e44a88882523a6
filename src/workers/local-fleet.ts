/** A fleet of one process: answers from its own sessions, pools and databases, and costs nothing until it is asked. */

import type { Clock } from '../base/clock.ts'
import { lengthsOf } from '../base/histogram.ts'
import type { Session } from '../client/session.ts'
import type { Sessions } from '../client/sessions.ts'
import type { NameSnapshot } from '../net/names/names.ts'
import type { ZoneSnapshot } from '../net/names/zones.ts'
import { Periods, type Span, sumOf, type Totals } from '../pool/averages.ts'
import { Counters } from '../pool/counters.ts'
import type { Pools } from '../pool/pools.ts'
import type { CancelSender } from '../server/cancel.ts'
import type { Server } from '../server/server.ts'
import { type Accounts, type PackedAccounts, type ProcessTally, packAccounts } from './accounts.ts'
import { CONSOLE_DATABASE, CONSOLE_USER } from './console-rows.ts'
import type { Control } from './control.ts'
import {
  clientState,
  describeClient,
  describeNewcomer,
  describeTransaction,
  isOnConsole,
  serverOf,
} from './described-clients.ts'
import { describePools } from './described-pools.ts'
import { describeServers } from './described-servers.ts'
import {
  type ClientSnapshot,
  CONSOLE_NAME,
  type DatabaseSnapshot,
  type DatabaseStats,
  type Fleet,
  type FleetState,
  type LatencySnapshot,
  type Lists,
  type MemorySnapshot,
  type NewcomerSnapshot,
  type PeerSnapshot,
  type PoolSnapshot,
  type ServerSnapshot,
  type TransactionSnapshot,
  type UserSnapshot,
  type WorkerSnapshot,
} from './fleet.ts'
import { longestTransactions, mergeLatencies } from './gather.ts'
import type { Circumstances } from './health.ts'
import { describeMemory } from './memory.ts'
import type { Beat, Gatherable, Topic } from './messages.ts'
import { pack, packLong } from './packing.ts'
import type { Pulse } from './pulse.ts'
import type { Vitals } from './vitals.ts'

export interface LocalFleetParts {
  readonly clock: Clock
  readonly sessions: Sessions
  readonly pools: Pools
  readonly cancels: CancelSender
  /** The port on which clients are accepted. */
  readonly port: number
  readonly pulse: Pulse
  /** Figures that belong to no pool. */
  readonly figures: { tally(): ProcessTally; vitals(): Vitals }
  readonly control: Control
  state(): FleetState
  /** Whether every database is paused, each by a PAUSE of its own. */
  areAllPaused(): boolean
  /** Why clients are not accepted; null while they are. */
  closedBecause(): 'starting' | 'ending' | null
  describeDatabases(): DatabaseSnapshot[]
  describeUsers(): UserSnapshot[]
  describePeers(): PeerSnapshot[]
  describeNames(): NameSnapshot[]
  describeZones(): ZoneSnapshot[]
}

export class LocalFleet implements Fleet {
  readonly #parts: LocalFleetParts
  readonly #periods: Periods
  readonly #startedWallMs: number
  /** What the console has counted. */
  readonly console = new Counters()

  constructor(parts: LocalFleetParts) {
    this.#parts = parts
    this.#periods = new Periods(parts.clock.nowMs)
    this.#startedWallMs = parts.clock.wallMs()
  }

  get control(): Control {
    return this.#parts.control
  }

  async clients(): Promise<ClientSnapshot[]> {
    return this.#ofSessions(describeClient)
  }

  async newcomers(): Promise<NewcomerSnapshot[]> {
    return this.#ofSessions(describeNewcomer)
  }

  async servers(): Promise<ServerSnapshot[]> {
    const holders = new Map<Server, Session>()
    for (const session of this.#parts.sessions) {
      const server = serverOf(session)
      if (server) holders.set(server, session)
    }
    return [...this.#parts.pools].flatMap((pool) => describeServers(pool, holders))
  }

  async transactions(): Promise<TransactionSnapshot[]> {
    return longestTransactions([this.#ofSessions(describeTransaction)])
  }

  async pools(): Promise<PoolSnapshot[]> {
    const { clock, pools, sessions, cancels } = this.#parts
    clock.refresh()
    return describePools(pools, sessions, cancels, clock.nowMs)
  }

  async databases(): Promise<DatabaseSnapshot[]> {
    return [...this.#parts.describeDatabases(), this.#consoleDatabase()]
  }

  async users(): Promise<UserSnapshot[]> {
    const users = this.#parts.describeUsers()
    return users.some(({ name }) => name === CONSOLE_NAME) ? users : [...users, CONSOLE_USER]
  }

  async peers(): Promise<PeerSnapshot[]> {
    return this.#parts.describePeers()
  }

  async names(): Promise<NameSnapshot[]> {
    this.#parts.clock.refresh()
    return this.#parts.describeNames()
  }

  async zones(): Promise<ZoneSnapshot[]> {
    return this.#parts.describeZones()
  }

  async memory(): Promise<MemorySnapshot[]> {
    return describeMemory()
  }

  async stats(): Promise<DatabaseStats[]> {
    const { clock } = this.#parts
    clock.refresh()
    return [...this.totals()].map(([database, totals]) => ({
      database,
      totals,
      recent: this.#periods.span(database, clock.nowMs, totals),
    }))
  }

  async latencies(): Promise<LatencySnapshot[]> {
    const rows = [...this.#parts.pools].map(({ database, user, durations: { query, transaction, wait } }) => ({
      ...{ database, user },
      query: lengthsOf(query),
      transaction: lengthsOf(transaction),
      wait: lengthsOf(wait),
    }))
    return mergeLatencies([rows])
  }

  async accounts(): Promise<Accounts> {
    return this.#accounts()
  }

  #accounts(): Accounts {
    return { pools: this.#parts.pools.tallies(), process: this.#parts.figures.tally() }
  }

  async vitals(): Promise<Vitals> {
    return this.#parts.figures.vitals()
  }

  async lists(): Promise<Lists> {
    const { sessions, pools } = this.#parts
    let servers = 0
    for (const pool of pools) servers += pool.total
    const names = await this.names()
    return {
      databases: (await this.databases()).length,
      users: (await this.users()).length,
      peers: (await this.peers()).length,
      pools: (await this.pools()).length,
      clients: sessions.count,
      clientsLoggingIn: sessions.loggingIn,
      servers,
      names: names.length,
      zones: (await this.zones()).length,
      asked: names.filter(({ isAsked }) => isAsked).length,
    }
  }

  async state(): Promise<FleetState> {
    return this.#parts.state()
  }

  async circumstances(): Promise<Circumstances> {
    const { pools, closedBecause, state, areAllPaused } = this.#parts
    let supplied = 0
    let cutOff = 0
    for (const pool of pools) {
      if (pool.live > 0) supplied++
      else if (pool.isCutOff) cutOff++
    }
    return {
      isStarting: closedBecause() === 'starting',
      isEnding: closedBecause() === 'ending',
      isPaused: state() !== 'active' || areAllPaused(),
      ...{ supplied, cutOff },
    }
  }

  async workers(): Promise<WorkerSnapshot[]> {
    const { pid } = process
    const state = WORKER_STATES[this.#parts.closedBecause() ?? 'nothing']
    return [{ number: 0, pid, state, startedAt: this.#startedWallMs, ...this.beat(), restarts: 0 }]
  }

  /** What this process reports about itself: see `Beat`. */
  beat(): Beat {
    const { sessions, pools, pulse } = this.#parts
    let servers = 0
    for (const pool of pools) servers += pool.total
    return pulse.take({ clients: sessions.count, servers })
  }

  /** Answers a question of the primary. */
  async gather(topic: Topic): Promise<Gatherable[Topic]> {
    if (topic === 'clients') return pack(await this.clients())
    if (topic === 'pools') return pack(await this.pools())
    if (topic === 'databases') return pack(await this.databases())
    if (topic !== 'accounts') return this[topic]()
    const { pools, process } = this.#accounts()
    return { pools: await packLong(pools), process }
  }

  /** The accounts for the last message to the primary, packed at once. */
  packedAccounts(): PackedAccounts {
    return packAccounts(this.#accounts())
  }

  /** Called at the end of a stats_period. Returns what was counted in it, over all databases, without the console, as in SHOW TOTALS. */
  endPeriod(): Span {
    const { nowMs } = this.#parts.clock
    const totals = this.totals()
    this.#periods.end(nowMs, totals)
    const ofClients = [...totals].filter(([database]) => database !== CONSOLE_NAME)
    const spans = ofClients.map(([database, now]) => this.#periods.span(database, nowMs, now))
    return { ms: spans[0]?.ms ?? 0, totals: sumOf(spans.map((span) => span.totals)) }
  }

  /** What was counted since the start, by database. */
  totals(): Map<string, Totals> {
    const totals = new Map<string, Totals>([[CONSOLE_NAME, sumOf([this.console])]])
    const { pools } = this.#parts
    for (const [database, counters] of pools.past) totals.set(database, sumOf([counters]))
    for (const { database, counters } of pools) {
      const before = totals.get(database)
      totals.set(database, sumOf(before ? [before, counters] : [counters]))
    }
    return totals
  }

  /** @param describe returns null for a session that is left out */
  #ofSessions<Row>(describe: (session: Session, nowMs: number) => Row | null): Row[] {
    const { sessions, clock } = this.#parts
    clock.refresh()
    const rows: Row[] = []
    for (const session of sessions) {
      const row = describe(session, clock.nowMs)
      if (row !== null) rows.push(row)
    }
    return rows
  }

  #consoleDatabase(): DatabaseSnapshot {
    let clients = 0
    for (const session of this.#parts.sessions) if (isOnConsole(session) && clientState(session) !== null) clients++
    return { ...CONSOLE_DATABASE, port: this.#parts.port, clients }
  }
}

/** The state that is shown, by the reason why clients are not accepted. */
const WORKER_STATES = { starting: 'starting', ending: 'draining', nothing: 'serving' } as const
