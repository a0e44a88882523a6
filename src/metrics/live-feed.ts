/** Produces the data of the live page once a second, once for all watchers, and only while there are watchers. */

import { addLengths, Histogram, type Lengths, LONGEST_MS, lengthsOf, quantileMs } from '../base/histogram.ts'
import { describeAddress } from '../net/unix-sockets.ts'
import { addErrors, type ErrorTotals } from '../pool/error-counts.ts'
import { keyOf, sumTallies, type Tally, type TallyNames } from '../pool/tallies.ts'
import type { Fleet, FleetState, TransactionSnapshot, WorkerSnapshot } from '../workers/fleet.ts'
import { type Health, healthOf } from '../workers/health.ts'
import { type MeasuredFleet, namedPools } from './snapshot.ts'

export type LiveFleet = MeasuredFleet & Pick<Fleet, 'clients' | 'servers' | 'transactions' | 'state'>

/** The 50 %, 95 % and 99 % quantiles in milliseconds; null if there were no measurements. */
export type Quantiles = readonly [number, number, number] | null

/** One pool: its current state, and what has happened since the previous look, as rates per second. */
export interface LivePool {
  readonly database: string
  readonly user: string
  readonly mode: string
  readonly clients: { readonly active: number; readonly idle: number; readonly waiting: number }
  readonly servers: { readonly active: number; readonly idle: number; readonly other: number }
  /** 0 means no limit. */
  readonly maxServers: number
  readonly oldestWaitMs: number
  readonly oldestTransactionMs: number
  readonly transactions: number
  readonly queries: number
  readonly errors: number
  readonly query: Quantiles
  readonly wait: Quantiles
}

/** A running transaction. */
export interface LiveTransaction {
  readonly client: number
  /** The names of its pool in the view. */
  readonly database: string
  readonly user: string
  /** The user that the client has logged in as. */
  readonly clientUser: string
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
  /** The longest-running transactions of all pools and processes. */
  readonly transactions: readonly LiveTransaction[]
  readonly all: Pick<LivePool, 'transactions' | 'queries' | 'errors' | 'query' | 'wait'>
  /** Errors since the start, by source and SQLSTATE. */
  readonly errors: ErrorTotals
  readonly workers: readonly WorkerSnapshot[]
}

/** The counters at one look, to be compared with those at the next. */
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

  /** Calls `watcher` with each new view. Returns a function that ends this. */
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
    // If the fleet answers slowly, do not ask again before it has answered.
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
    // If the last watcher has left meanwhile, keep nothing: the next watcher must not see rates over the time in between.
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
      transactions: transactions.map((transaction) => showTransaction(transaction, names)),
      all: ratesOf(changes.reduce(addChanges, NO_CHANGE), seconds),
      errors: [...tallies.values()].reduce(
        (sum: ErrorTotals, tally) => addErrors(sum, tally.errors),
        accounts.process.errors,
      ),
    }
  }
}

function showTransaction(transaction: TransactionSnapshot, names: TallyNames): LiveTransaction {
  const { clientId, user: clientUser, poolUser, peer, applicationName, ageUs, isRunning } = transaction
  const { database, user } = names.ifKnown({ database: transaction.database, user: poolUser ?? clientUser })
  return {
    ...{ client: clientId, database, user, clientUser, address: describeAddress(peer), applicationName },
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

/**
 * What has changed in a pool since the previous look.
 *
 * @param hasLooked whether there was a previous look. If so, a pool without a tally in it is new, and everything it has counted is recent. At
 * the first look nothing is known to be recent.
 */
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
