/** All workers as one: asks each what it knows about itself, and puts the answers together. */

import { sumOf, type Totals } from '../pool/averages.ts'
import type { TallyNames } from '../pool/tallies.ts'
import { AllAccounts, NO_ACCOUNTS, type PackedAccounts, packAccounts, unpackAccounts } from './accounts.ts'
import type { Control } from './control.ts'
import {
  type ClientSnapshot,
  CONSOLE_NAME,
  type DatabaseStats,
  type Fleet,
  type FleetState,
  type WorkerSnapshot,
} from './fleet.ts'
import {
  longestTransactions,
  mergeDatabases,
  mergeLatencies,
  mergeLists,
  mergeMemory,
  mergeNames,
  mergePeers,
  mergePools,
  mergeStats,
  mergeUsers,
  mergeZones,
} from './gather.ts'
import { type Circumstances, healthOf, mergeCircumstances } from './health.ts'
import type { Gatherable, Topic } from './messages.ts'
import { type Packed, packNow, unpack, unpackNow } from './packing.ts'
import { mergeVitals } from './vitals.ts'
import type { Worker } from './worker.ts'

export abstract class GatheredFleet implements Fleet {
  abstract readonly control: Control
  /** What workers that are gone have counted, so that no counter ever goes backwards. */
  readonly #departed = new Map<string, Departed>()
  /** Whether a database still exists. Statistics of others are forgotten. */
  #isThere = (_database: string) => true
  readonly #accounts: AllAccounts

  /** @param names decides which names are counted separately */
  constructor(names: TallyNames) {
    this.#accounts = new AllAccounts(names)
  }

  /** All workers that are not gone. */
  protected abstract everyone(): Iterable<Worker>

  /** Whether the fleet takes no new clients any more. */
  protected abstract get isEnding(): boolean

  abstract workers(): Promise<readonly WorkerSnapshot[]>

  /** Asks every worker that serves clients. There is no answer from a worker that goes away meanwhile, and one that seems to hang is left out. */
  protected abstract askAll<Answer>(ask: (worker: Worker) => Promise<Answer>): Promise<Answer[]>

  /** The worker is gone: its counters, as last reported, stay part of the fleet's. */
  protected noteDeparted(worker: Worker, nowMs: number): void {
    for (const [database, totals] of worker.totals) {
      if (!this.#keepsStats(database)) continue
      const before = this.#departed.get(database)
      this.#departed.set(database, { totals: sumOf(before ? [before.totals, totals] : [totals]), knownMs: nowMs })
    }
    worker.totals = new Map()
    this.#accounts.add(worker.accounts)
    worker.accounts = NO_ACCOUNTS
  }

  /** Forgets the statistics of databases that no longer exist and of `removed`, which `*` may replace, as each worker does. */
  keepStats(isThere: (database: string) => boolean, removed: ReadonlySet<string>): void {
    this.#isThere = isThere
    for (const database of this.#departed.keys())
      if (removed.has(database) || !this.#keepsStats(database)) this.#departed.delete(database)
  }

  /** Forgets databases that no worker knows any more, as each worker does: strangers choose their names. */
  protected forgetUnused(nowMs: number, idleMs: (database: string) => number): void {
    for (const [database, departed] of this.#departed) {
      const isKnown = [...this.everyone()].some(({ totals }) => totals.has(database))
      if (isKnown || database === CONSOLE_NAME) departed.knownMs = nowMs
      else if (nowMs - departed.knownMs >= idleMs(database)) this.#departed.delete(database)
    }
  }

  #keepsStats(database: string): boolean {
    return database === CONSOLE_NAME || this.#isThere(database)
  }

  async gather(topic: Topic): Promise<Gatherable[Topic]> {
    if (topic === 'clients') return this.#packedClients()
    if (topic === 'pools') return packNow(await this.pools())
    if (topic === 'databases') return packNow(await this.databases())
    return topic === 'accounts' ? packAccounts(await this.accounts()) : this[topic]()
  }

  async clients() {
    return unpack(await this.#packedClients())
  }

  async #packedClients(): Promise<Packed<ClientSnapshot>> {
    return (await this.#ask('clients')).flat()
  }

  async newcomers() {
    return (await this.#ask('newcomers')).flat()
  }

  async servers() {
    return (await this.#ask('servers')).flat()
  }

  async transactions() {
    return longestTransactions(await this.#ask('transactions'))
  }

  async pools() {
    return mergePools((await this.#ask('pools')).map((part) => unpackNow(part)))
  }

  async databases() {
    return mergeDatabases((await this.#ask('databases')).map((part) => unpackNow(part)))
  }

  async users() {
    return mergeUsers(await this.#ask('users'))
  }

  async peers() {
    return mergePeers(await this.#ask('peers'))
  }

  async names() {
    return mergeNames(await this.#ask('names'))
  }

  async zones() {
    return mergeZones(await this.#ask('zones'))
  }

  async memory() {
    return mergeMemory(await this.#ask('memory'))
  }

  async stats() {
    const parts = await this.askAll(async (worker) => {
      const stats = (await worker.line.ask('gather', 'stats')) as readonly DatabaseStats[]
      // Recorded, so that the next totals are not lower than these even if the worker is gone by then.
      if (worker.state !== 'gone') worker.totals = new Map(stats.map(({ database, totals }) => [database, totals]))
      return stats.map((each) => ({ ...each, totals: NOTHING }))
    })
    // The totals come from what is recorded, not from the answers, for the reason given in `accounts`. That includes workers that are ending and no
    // longer asked.
    const departed = new Map([...this.#departed].map(([database, { totals }]) => [database, totals]))
    const noted = [departed, ...[...this.everyone()].map(({ totals }) => totals)].map((counted) =>
      [...counted].map(([database, totals]) => ({ database, totals, recent: NOTHING_RECENT })),
    )
    return mergeStats([...parts, ...noted])
  }

  async latencies() {
    return mergeLatencies(await this.#ask('latencies'))
  }

  async accounts() {
    await this.askAll(async (worker) => {
      this.noteAccounts(worker, (await worker.line.ask('gather', 'accounts')) as PackedAccounts)
    })
    // Taken from what is recorded, not from the answers: a worker that has gone since it answered is among the departed by now, and must not count
    // twice.
    return this.#accounts.with([...this.everyone()].map(({ accounts }) => accounts))
  }

  /** A worker has crashed or hung. */
  protected noteLost(): void {
    this.#accounts.note('workersLost')
  }

  protected noteAccounts(worker: Worker, packed: PackedAccounts): void {
    // Once a worker is gone, what it reported before has been added to the departed.
    if (worker.state !== 'gone') worker.accounts = unpackAccounts(packed)
  }

  async vitals() {
    return mergeVitals(await this.#ask('vitals'))
  }

  async lists() {
    const [parts, databases, users, peers, pools, names, zones] = await Promise.all([
      this.#ask('lists'),
      this.databases(),
      this.users(),
      this.peers(),
      this.pools(),
      this.names(),
      this.zones(),
    ])
    return mergeLists(parts, {
      databases: databases.length,
      users: users.length,
      peers: peers.length,
      pools: pools.length,
      names: names.length,
      zones: zones.length,
    })
  }

  async state(): Promise<FleetState> {
    const states = new Set(await this.#ask('state'))
    // Active if any worker is: one that has just started may not have carried out a PAUSE yet.
    if (states.size === 0 || states.has('active')) return 'active'
    return states.has('paused') ? 'paused' : 'suspended'
  }

  async circumstances(): Promise<Circumstances> {
    const all = mergeCircumstances(await this.#circumstancesInTime())
    return this.isEnding ? { ...all, isEnding: true } : all
  }

  /**
   * Probes ask for this with short timeouts, so a worker that hangs must not hold up the answer. When the others are `late`, the answer is given
   * as soon as those that have answered make it `ready`. If they do not, a worker that is only late may be the one that does, so it is waited
   * for until it is `overdue`.
   */
  async #circumstancesInTime(): Promise<readonly Circumstances[]> {
    const known: Circumstances[] = []
    let are: 'early' | 'late' | 'overdue' = 'early'
    let settle = () => {}
    const enough = new Promise<void>((resolve) => {
      settle = resolve
    })
    const look = () => {
      const isEnough = are === 'late' ? healthOf(mergeCircumstances(known)) === 'ready' : known.length > 0
      if (are !== 'early' && isEnough) settle()
    }
    const timers = (['late', 'overdue'] as const).map((next) =>
      setTimeout(() => {
        are = next
        look()
      }, WAITS_MS[next]),
    )
    const all = this.askAll(async (worker) => {
      known.push((await worker.line.ask('gather', 'circumstances')) as Circumstances)
      look()
    })
    await Promise.race([all, enough]).finally(() => timers.forEach(clearTimeout))
    return [...known]
  }

  async #ask<Name extends Topic>(topic: Name): Promise<Gatherable[Name][]> {
    return (await this.askAll((worker) => worker.line.ask('gather', topic))) as Gatherable[Name][]
  }
}

/** What workers that are gone have counted for one database. */
interface Departed {
  readonly totals: Totals
  /** When a worker last knew the database. */
  knownMs: number
}

/** Probes wait for one second unless configured otherwise. */
const WAITS_MS = { late: 300, overdue: 800 } as const

const NOTHING = sumOf([])
const NOTHING_RECENT = { ms: 0, totals: NOTHING }
