/** A fleet of one process: answers from its own sessions, pools and databases, and costs nothing while nobody asks. */

import type { Clock } from '../base/clock.ts'
import { lengthsOf } from '../base/histogram.ts'
import type { Session } from '../client/session.ts'
import type { Sessions } from '../client/sessions.ts'
import type { NameSnapshot } from '../net/names/names.ts'
import type { ZoneSnapshot } from '../net/names/zones.ts'
import { Periods, type Span, sumOf, type Totals } from '../pool/averages.ts'
import { Counters } from '../pool/counters.ts'
import type { Pool } from '../pool/pool.ts'
import type { Pools } from '../pool/pools.ts'
import type { CancelSender } from '../server/cancel.ts'
import type { Server } from '../server/server.ts'
import { SERVER_STATES, type ServerState } from '../server/states.ts'
import { type Accounts, type PackedAccounts, type ProcessTally, packAccounts } from './accounts.ts'
import type { Control } from './control.ts'
import {
  type ClientSnapshot,
  type ClientState,
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
  SERVER_GROUPS,
  type ServerGroup,
  type ServerSnapshot,
  type TransactionSnapshot,
  type UserSnapshot,
  type WorkerSnapshot,
} from './fleet.ts'
import { longestTransactions, mergeLatencies, mergePools } from './gather.ts'
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
  /** Where clients are accepted. */
  readonly port: number
  readonly pulse: Pulse
  /** What is counted of no pool. */
  readonly figures: { tally(): ProcessTally; vitals(): Vitals }
  readonly control: Control
  state(): FleetState
  /** One by one. */
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
  /** What the console has done. */
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
    const { sessions, clock } = this.#parts
    clock.refresh()
    const clients: ClientSnapshot[] = []
    for (const session of sessions) {
      const state = clientState(session)
      if (state !== null) clients.push(describeClient(session, state, clock.nowMs))
    }
    return clients
  }

  async newcomers(): Promise<NewcomerSnapshot[]> {
    const { sessions, clock } = this.#parts
    clock.refresh()
    const newcomers: NewcomerSnapshot[] = []
    for (const session of sessions)
      if (session.state === 'greeting' || session.state === 'authenticating')
        newcomers.push({ ...describeClient(session, 'idle', clock.nowMs), database: '', state: 'login' })
    return newcomers
  }

  async servers(): Promise<ServerSnapshot[]> {
    const holders = new Map<Server, Session>()
    for (const session of this.#parts.sessions) {
      const server = serverOf(session)
      if (server) holders.set(server, session)
    }
    const servers: ServerSnapshot[] = []
    for (const pool of this.#parts.pools)
      for (const state of OPEN_STATES)
        for (const server of pool.servers(state))
          servers.push(describeServer(pool, server, holders.get(server) ?? null))
    return servers
  }

  async transactions(): Promise<TransactionSnapshot[]> {
    const { sessions, clock } = this.#parts
    clock.refresh()
    const transactions: TransactionSnapshot[] = []
    for (const session of sessions) {
      const beganMs = session.relay?.transactionMs ?? null
      if (beganMs === null || clientState(session) === null) continue
      transactions.push(describeTransaction(session, Math.round((clock.nowMs - beganMs) * 1000)))
    }
    return longestTransactions([transactions])
  }

  async pools(): Promise<PoolSnapshot[]> {
    this.#parts.clock.refresh()
    const drafts = new Map<Pool | null, Draft>([[null, new Draft()]])
    for (const pool of this.#parts.pools) drafts.set(pool, new Draft())
    this.#countClients(drafts)
    for (const { server, isSent } of this.#parts.cancels) {
      const draft = drafts.get(server.context.owner as Pool)
      if (draft) draft.cancels[isSent ? 'sent' : 'waiting']++
    }
    const rows = [...drafts].map(([pool, draft]): PoolSnapshot => {
      const { clients, cancels, longestWaitUs, oldestTransactionUs } = draft
      const counted = {
        clients,
        cancels,
        longestWaitUs,
        oldestTransactionUs,
        servers: pool ? countServers(pool) : noServers(),
      }
      if (pool === null)
        return {
          database: CONSOLE_NAME,
          user: CONSOLE_NAME,
          mode: 'statement',
          balance: null,
          maxServers: 0,
          permits: 0,
          ...counted,
        }
      const { database, user, settings, balance } = pool
      return {
        database,
        user,
        mode: settings.mode,
        balance,
        maxServers: settings.size,
        permits: pool.connected,
        ...counted,
      }
    })
    // There may be more than one for a database and user: servers that were opened with other settings are kept apart.
    return mergePools([rows])
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

  /** How this process fares. */
  beat(): Beat {
    const { sessions, pools, pulse } = this.#parts
    let servers = 0
    for (const pool of pools) servers += pool.total
    return pulse.take({ clients: sessions.count, servers })
  }

  /** For the primary, by name. */
  async gather(topic: Topic): Promise<Gatherable[Topic]> {
    if (topic === 'clients') return pack(await this.clients())
    if (topic === 'pools') return pack(await this.pools())
    if (topic === 'databases') return pack(await this.databases())
    if (topic !== 'accounts') return this[topic]()
    const { pools, process } = this.#accounts()
    return { pools: await packLong(pools), process }
  }

  /** The last word on them. */
  packedAccounts(): PackedAccounts {
    return packAccounts(this.#accounts())
  }

  /** Called when a stats_period is over. Returns what happened in it, all databases together. */
  endPeriod(): Span {
    const { nowMs } = this.#parts.clock
    const totals = this.totals()
    this.#periods.end(nowMs, totals)
    const spans = [...totals].map(([database, now]) => this.#periods.span(database, nowMs, now))
    return { ms: spans[0]?.ms ?? 0, totals: sumOf(spans.map((span) => span.totals)) }
  }

  /** Since the start, by database. */
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

  #countClients(drafts: ReadonlyMap<Pool | null, Draft>): void {
    const { sessions, clock } = this.#parts
    for (const session of sessions) {
      const state = clientState(session)
      const draft = drafts.get(session.waiter?.pool ?? null)
      if (state === null || !draft) continue
      draft.clients[state]++
      draft.longestWaitUs = Math.max(draft.longestWaitUs, waitUs(session, state, clock.nowMs))
      const beganMs = session.relay?.transactionMs ?? null
      if (beganMs !== null)
        draft.oldestTransactionUs = Math.max(draft.oldestTransactionUs, Math.round((clock.nowMs - beganMs) * 1000))
    }
  }

  #consoleDatabase(): DatabaseSnapshot {
    let clients = 0
    for (const session of this.#parts.sessions) if (isOnConsole(session) && clientState(session) !== null) clients++
    return { ...CONSOLE_DATABASE, port: this.#parts.port, clients }
  }
}

/** By why clients are not accepted. */
const WORKER_STATES = { starting: 'starting', ending: 'draining', nothing: 'serving' } as const

const OPEN_STATES = SERVER_STATES.filter((state) => state !== 'closing' && state !== 'closed')

/** What PgBouncer says of its console. */
const CONSOLE_DATABASE = {
  name: CONSOLE_NAME,
  host: null,
  database: CONSOLE_NAME,
  forcedUser: CONSOLE_NAME,
  poolSize: 2,
  minPoolSize: 0,
  reservePoolSize: 0,
  serverLifetimeMs: 0,
  poolMode: 'statement',
  balance: null,
  maxServers: 0,
  servers: 0,
  maxClients: 0,
  isPaused: false,
  isDisabled: false,
} as const satisfies Partial<DatabaseSnapshot>

const CONSOLE_USER: UserSnapshot = {
  name: CONSOLE_NAME,
  poolSize: null,
  reservePoolSize: null,
  poolMode: null,
  maxServers: 0,
  servers: 0,
  maxClients: 0,
  clients: 0,
}

class Draft {
  readonly clients: Record<ClientState, number> = { active: 0, idle: 0, waiting: 0 }
  readonly cancels = { sent: 0, waiting: 0 }
  longestWaitUs = 0
  oldestTransactionUs = 0
}

/** null for one that logs in or is told its last word: PgBouncer does not show these either. */
function clientState(session: Session): ClientState | null {
  switch (session.state) {
    case 'welcoming':
      return 'waiting'
    case 'waiting':
      // Its server takes over its settings: it has left the queue.
      return session.relay?.promised ? 'active' : 'waiting'
    case 'active':
    case 'idle':
      return session.state
    default:
      return null
  }
}

function isOnConsole(session: Session): boolean {
  return session.handler !== null && session.relay === null
}

function serverOf({ relay }: Session): Server | null {
  return relay === null ? null : (relay.server ?? relay.promised)
}

function waitUs({ waiter }: Session, state: ClientState, nowMs: number): number {
  return waiter === null || state !== 'waiting' ? 0 : Math.round((nowMs - waiter.waitingSinceMs) * 1000)
}

function describeClient(session: Session, state: ClientState, nowMs: number): ClientSnapshot {
  const { id, channel, handler, connectedMs, connectedWallMs } = session
  const requestMs = handler?.requestMs || connectedMs
  return {
    id,
    user: session.user ?? '',
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

function describeTransaction(session: Session, ageUs: number): TransactionSnapshot {
  const { id, user, database, channel, applicationName, relay } = session
  return {
    ...{ clientId: id, user: user ?? '', database: database ?? '', peer: channel.peer, applicationName },
    ...{ ageUs, isRunning: relay?.server?.ledger.isEmpty === false },
  }
}

function describeServer(pool: Pool, server: Server, holder: Session | null): ServerSnapshot {
  const { id, startedMs, startedWallMs, peer, local, tls, pid, profile } = server
  const requestMs = holder?.handler?.requestMs ?? server.usedMs
  return {
    id,
    user: pool.user,
    database: pool.database,
    replication: pool.options.replication,
    state: groupOf(pool, server),
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

const GROUPS: Readonly<Record<Exclude<ServerState, 'idle' | 'closing' | 'closed'>, ServerGroup>> = {
  dialing: 'new',
  login: 'new',
  checking: 'tested',
  cleaning: 'tested',
  aligning: 'active',
  leased: 'active',
  restoring: 'active',
  canceling: 'being_canceled',
}

function groupOf(pool: Pool, server: Server): ServerGroup {
  const { state } = server
  if (state === 'idle' || state === 'closing' || state === 'closed') return pool.needsCheck(server) ? 'used' : 'idle'
  return GROUPS[state]
}

function noServers(): Record<ServerGroup, number> {
  return Object.fromEntries(SERVER_GROUPS.map((group) => [group, 0])) as Record<ServerGroup, number>
}

function countServers(pool: Pool): Record<ServerGroup, number> {
  const counts = noServers()
  for (const state of OPEN_STATES) for (const server of pool.servers(state)) counts[groupOf(pool, server)]++
  return counts
}
