/** What the live page shows, once a second, made once for all who look, and only while somebody does. */

import { addLengths, Histogram, type Lengths, lengthsOf, quantileMs } from '../base/histogram.ts'
import { describeAddress } from '../net/unix-sockets.ts'
import { addErrors, type ErrorTotals } from '../pool/error-counts.ts'
import { keyOf, sumTallies, type Tally, type TallyNames } from '../pool/tallies.ts'
import type { Fleet, FleetState, TransactionSnapshot, WorkerSnapshot } from '../workers/fleet.ts'
import { type Health, healthOf } from '../workers/health.ts'
import { type MeasuredFleet, namedPools } from './snapshot.ts'

export type LiveFleet = MeasuredFleet & Pick<Fleet, 'clients' | 'servers' | 'transactions' | 'state'>

/** Quantiles in milliseconds: half, nineteen of twenty, ninety-nine of a hundred. null if there was nothing. */
export type Quantiles = readonly [number, number, number] | null

/** What has happened since the look before, as rates a second; and how it is now. */
export interface LivePool {
  readonly database: string
  readonly user: string
  readonly mode: string
  readonly clients: { readonly active: number; readonly idle: number; readonly waiting: number }
  readonly servers: { readonly active: number; readonly idle: number; readonly other: number }
  /** 0 is no limit. */
  readonly maxServers: number
  readonly oldestWaitMs: number
  readonly oldestTransactionMs: number
  readonly transactions: number
  readonly queries: number
  readonly errors: number
  readonly query: Quantiles
  readonly wait: Quantiles
}

/** One that runs. */
export interface LiveTransaction {
  readonly client: number
  readonly database: string
  readonly user: string
  readonly address: string
  readonly applicationName: string
  readonly ms: number
  readonly state: 'running a query' | 'idle in transaction'
}

export interface LiveView {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly health: Health
  readonly state: FleetState
  readonly pools: readonly LivePool[]
  /** Those that have run for longest, of all pools and processes. */
  readonly transactions: readonly LiveTransaction[]
  readonly all: Pick<LivePool, 'transactions' | 'queries' | 'errors' | 'query' | 'wait'>
  /** By whose they are and SQLSTATE, since the start. */
  readonly errors: ErrorTotals
  readonly workers: readonly WorkerSnapshot[]
}

/** What is compared with the look after. */
interface Counted {
  readonly at: number
  readonly tallies: ReadonlyMap<string, Tally>
}

const FEED_MS = 1_000

export interface LiveFeedOptions {
  readonly fleet: LiveFleet
  readonly names: TallyNames
  onTrouble(problem: unknown): void
}

export class LiveFeed {
  readonly #options: LiveFeedOptions
  readonly #watchers = new Set<(view: LiveView) => void>()
  #timer: NodeJS.Timeout | null = null
  #before: Counted | null = null
  #isLooking = false

  constructor(options: LiveFeedOptions) {
    this.#options = options
  }

  /** Returns what ends it. */
  watch(watcher: (view: LiveView) => void): () => void {
    this.#watchers.add(watcher)
    if (this.#timer === null) {
      this.#timer = setInterval(() => this.#look(), FEED_MS)
      this.#timer.unref()
      this.#look()
    }
    return () => {
      this.#watchers.delete(watcher)
      if (this.#watchers.size > 0 || this.#timer === null) return
      clearInterval(this.#timer)
      this.#timer = null
      this.#before = null
    }
  }

  #look(): void {
    // A fleet that answers slowly is not asked more and more.
    if (this.#isLooking) return
    this.#isLooking = true
    this.#take()
      .then((view) => {
        for (const watcher of this.#watchers) watcher(view)
      })
      .catch((problem) => this.#options.onTrouble(problem))
      .finally(() => {
        this.#isLooking = false
      })
  }

  async #take(): Promise<LiveView> {
    const { fleet, names } = this.#options
    const [accounts, pools, workers, transactions, circumstances, state] = await Promise.all([
      ...([fleet.accounts(), fleet.pools(), fleet.workers(), fleet.transactions()] as const),
      ...([fleet.circumstances(), fleet.state()] as const),
    ])
    const at = Date.now()
    const tallies = new Map(
      sumTallies(accounts.pools.map((tally) => names.of(tally))).map((tally) => [
        keyOf(tally.database, tally.user),
        tally,
      ]),
    )
    const before = this.#before
    // Whoever looks after a while has not seen what was before.
    if (this.#timer !== null) this.#before = { at, tallies }
    const seconds = before === null ? 1 : Math.max((at - before.at) / 1000, 0.001)
    const changes: Change[] = []
    const rows = namedPools(pools, names).map((pool): LivePool => {
      const key = keyOf(pool.database, pool.user)
      const change = changeOf(tallies.get(key), before?.tallies.get(key), before !== null)
      changes.push(change)
      const { active, idle, used, tested, new: opening, being_canceled: cancelled } = pool.servers
      return {
        ...{ database: pool.database, user: pool.user, mode: pool.mode, clients: pool.clients },
        servers: { active, idle: idle + used, other: tested + opening + cancelled },
        maxServers: pool.maxServers,
        oldestWaitMs: pool.longestWaitUs / 1000,
        oldestTransactionMs: pool.oldestTransactionUs / 1000,
        ...ratesOf(change, seconds),
      }
    })
    return {
      ...{ at, health: healthOf(circumstances), state, pools: rows, workers },
      transactions: transactions.map(showTransaction),
      all: ratesOf(changes.reduce(addChanges, NO_CHANGE), seconds),
      errors: [...tallies.values()].reduce(
        (sum: ErrorTotals, tally) => addErrors(sum, tally.errors),
        accounts.process.errors,
      ),
    }
  }
}

function showTransaction(transaction: TransactionSnapshot): LiveTransaction {
  const { clientId, database, user, peer, applicationName, ageUs, isRunning } = transaction
  return {
    ...{ client: clientId, database, user, address: describeAddress(peer), applicationName },
    ...{ ms: ageUs / 1000, state: isRunning ? 'running a query' : 'idle in transaction' },
  }
}

interface Change {
  readonly transactions: number
  readonly queries: number
  readonly errors: number
  readonly query: Lengths
  readonly wait: Lengths
}

const NO_LENGTHS = lengthsOf(new Histogram())
const NO_CHANGE: Change = { transactions: 0, queries: 0, errors: 0, query: NO_LENGTHS, wait: NO_LENGTHS }

/** @param hasLooked what was there at the first look did not happen just now; what has come since did */
function changeOf(now: Tally | undefined, before: Tally | undefined, hasLooked: boolean): Change {
  if (now === undefined || (before === undefined && !hasLooked)) return NO_CHANGE
  return {
    transactions: now.totals.transactions - (before?.totals.transactions ?? 0),
    queries: now.totals.queries - (before?.totals.queries ?? 0),
    errors: errorCount(now) - (before === undefined ? 0 : errorCount(before)),
    query: lengthsSince(now.durations.query, before?.durations.query),
    wait: lengthsSince(now.durations.wait, before?.durations.wait),
  }
}

function addChanges(one: Change, other: Change): Change {
  return {
    transactions: one.transactions + other.transactions,
    queries: one.queries + other.queries,
    errors: one.errors + other.errors,
    query: addLengths(one.query, other.query),
    wait: addLengths(one.wait, other.wait),
  }
}

function ratesOf({ transactions, queries, errors, query, wait }: Change, seconds: number): LiveView['all'] {
  const rate = (count: number) => Math.round((count / seconds) * 10) / 10
  return {
    ...{ transactions: rate(transactions), queries: rate(queries), errors: rate(errors) },
    ...{ query: quantilesOf(query), wait: quantilesOf(wait) },
  }
}

/** What is longer than the longest bucket is shown as that. */
const LONGEST_MS = 60_000

function quantilesOf(lengths: Lengths): Quantiles {
  const [half, most, nearlyAll] = [0.5, 0.95, 0.99].map((part) => quantileMs(lengths, part))
  if (half == null || most == null || nearlyAll == null) return null
  const shown = (ms: number) => Math.round(Math.min(ms, LONGEST_MS) * 1000) / 1000
  return [shown(half), shown(most), shown(nearlyAll)]
}

function lengthsSince(now: Lengths, before: Lengths = NO_LENGTHS): Lengths {
  return {
    counts: now.counts.map((count, bucket) => count - (before.counts[bucket] ?? 0)),
    sumMs: now.sumMs - before.sumMs,
  }
}

function errorCount({ errors }: Tally): number {
  return Object.values(errors).reduce((sum, count) => sum + count, 0)
}
