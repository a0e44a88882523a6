/** The permits of a fleet, kept by its primary: one book for all workers, and who has to give up one for a client elsewhere. */

import type { Clock } from '../base/clock.ts'
import { EVICTED, UNFAIRNESS_MS } from '../pool/permits/accounts.ts'
import { PermitBook, type SizesOf } from '../pool/permits/book.ts'
import type { Account, Limit } from '../pool/permits/limit.ts'
import { chooseBetweenPools, chooseWithinPool, NOBODY_SPARED, type Share } from './fair-shares.ts'
import type { PoolFigures } from './messages.ts'
import { type Counter, RemotePool } from './remote-pool.ts'

export interface PermitDeskOptions {
  readonly clock: Clock
  readonly sizesOf: SizesOf
  /** Calls back once. */
  later(ms: number, work: () => void): void
}

/** After a permit has moved from one worker to another, the next one of the pool stays for so long. */
const REST_MS = 50

/**
 * A worker whose turn is to end has so long to serve those whom it may serve first. Then another one is asked as well: who knows when a
 * transaction there comes to its end.
 */
const PATIENCE_MS = 200

/** How long Postgres is not asked for more servers than it had room for. */
const CAP_MS = 2_000

/** How often a worker that was refused waits for what others may get, while none of them has anything yet. */
const HOPE_MS = 10_000

/** For how long: about what it takes to log in where the machine is busy. */
const HOPING_MS = 1_000

/** How often workers are asked for their figures while a client waits for a permit that another worker may have to spare. */
const POLL_MS = 10

export class PermitDesk {
  readonly #options: PermitDeskOptions
  readonly #book: PermitBook
  /** By worker and pool. */
  readonly #accounts = new Map<Counter, Map<number, RemotePool>>()
  readonly #byAccount = new Map<Account, RemotePool>()
  /** When a permit was last taken for another worker. */
  readonly #movedMs = new WeakMap<Limit, number>()
  /** Those that were told that their turn is over. */
  readonly #ending = new Set<RemotePool>()
  /** When workers that were not refused had servers of a pool, the last time that another one was. */
  readonly #readyMs = new WeakMap<Limit, number>()
  #isPolling = false

  constructor(options: PermitDeskOptions) {
    this.#options = options
    this.#book = new PermitBook(options.sizesOf)
  }

  /** How many permits are out; for tests and the console. */
  get held(): number {
    let held = 0
    for (const account of this.#byAccount.keys()) held += account.held
    return held
  }

  get limits(): Iterable<Limit> {
    return this.#book.limits
  }

  // What workers say

  /** @param keepsServers see `ShareHolder` */
  opened(counter: Counter, pool: number, database: string, user: string, keepsServers = false): void {
    const remote = new RemotePool(counter, pool, this.#options.clock, keepsServers)
    remote.account = this.#book.open(database, user, remote)
    let pools = this.#accounts.get(counter)
    if (pools === undefined) {
      pools = new Map()
      this.#accounts.set(counter, pools)
    }
    pools.set(pool, remote)
    this.#byAccount.set(remote.account, remote)
  }

  /** A pool wants more, or tells its figures because it was asked to. */
  asked(counter: Counter, pool: number, figures: PoolFigures): void {
    const remote = this.#find(counter, pool)
    if (remote === null) return
    const { nowMs } = this.#options.clock
    remote.note(figures, nowMs)
    this.#book.accounts.ask(remote.account, nowMs)
    this.#settled(remote)
  }

  gaveBack(counter: Counter, pool: number, figures: PoolFigures): void {
    const remote = this.#find(counter, pool)
    if (remote === null) return
    // What it has told before may be too old to be held against the others.
    remote.note(figures, this.#options.clock.nowMs)
    remote.noteReturn()
    this.#book.accounts.giveBack(remote.account, this.#options.clock.nowMs)
    this.#settled(remote)
  }

  /** It was recalled from where nothing is idle any more: it may take for ever to come back, and is not counted on. */
  missed(counter: Counter, pool: number): void {
    const remote = this.#find(counter, pool)
    if (remote === null) return
    if (remote.account.recalled > 0) this.#book.accounts.unrecall(remote.account)
    // What has come back meanwhile was that of its turn.
    else remote.noteReturn()
    this.#poll()
  }

  closed(counter: Counter, pool: number): void {
    const remote = this.#find(counter, pool)
    if (remote === null) return
    this.#accounts.get(counter)?.delete(pool)
    this.#forget(remote)
  }

  /** The worker is gone, and so are its servers but for one in each of these pools, whose permit is given back once it has gone, too. */
  left(counter: Counter, stillThere: readonly number[] = []): { giveBack(pool: number): void } {
    const pools = this.#accounts.get(counter) ?? new Map<number, RemotePool>()
    this.#accounts.delete(counter)
    for (const remote of pools.values()) {
      remote.note(NOTHING_WANTED, this.#options.clock.nowMs)
      this.#book.accounts.ask(remote.account, this.#options.clock.nowMs)
    }
    const count = (pool: number, keeps: number) => {
      const remote = pools.get(pool)
      if (remote === undefined) return
      while (remote.account.held > keeps) {
        remote.noteReturn()
        this.#book.accounts.giveBack(remote.account, this.#options.clock.nowMs)
      }
      if (keeps === 0) this.#forget(remote)
      else this.#settled(remote)
    }
    for (const pool of pools.keys()) count(pool, stillThere.filter((each) => each === pool).length)
    return { giveBack: (pool) => count(pool, Math.max(0, (pools.get(pool)?.account.held ?? 0) - 1)) }
  }

  /** Postgres has no room for a server of the pool: for a while those that are there are all that there may be, and whoever waits takes turns. */
  refused(counter: Counter, pool: number): boolean {
    const remote = this.#find(counter, pool)
    if (remote === null) return false
    const { nowMs } = this.#options.clock
    const limit = remote.account.pool
    let ready = 0
    let held = 0
    let staying = 0
    for (const holder of limit.holders) {
      const other = this.#byAccount.get(holder)
      if (other === undefined || other === remote) continue
      if (other.keepsServers) {
        staying += holder.held
        continue
      }
      ready += other.counter.ready(other.pool)
      held += holder.held
    }
    // What was there a moment ago has gone, and Postgres may not have noticed, or has counted others that it refused as well.
    if (ready === 0 && held === 0) return nowMs - (this.#readyMs.get(limit) ?? -Infinity) < HOPING_MS
    if (ready > 0) this.#readyMs.set(limit, nowMs)
    // Those that others are just opening may be what there was no room for. If these come to nothing either, that is the last word.
    else if (nowMs >= remote.hopesAgainMs) {
      remote.hopesUntilMs = nowMs + HOPING_MS
      remote.hopesAgainMs = nowMs + HOPE_MS
    } else if (nowMs >= remote.hopesUntilMs) return false
    limit.cap((ready || held) + staying, nowMs + CAP_MS)
    return true
  }

  /** The settings have changed. */
  resize(): void {
    this.#book.renumber()
    for (const account of this.#byAccount.keys()) this.#book.resized(account, this.#options.clock.nowMs)
    // Also where there is no minimum any more: nobody says so later.
    for (const [account, remote] of this.#byAccount) remote.tellFloor(account.pool.floorOf(account))
    this.#poll()
  }

  #find(counter: Counter, pool: number): RemotePool | null {
    return this.#accounts.get(counter)?.get(pool) ?? null
  }

  #forget(remote: RemotePool): void {
    this.#byAccount.delete(remote.account)
    this.#ending.delete(remote)
    this.#book.close(remote.account, this.#options.clock.nowMs)
    this.#poll()
  }

  #settled({ account }: RemotePool): void {
    if (account.pool.hasMinimum) this.#tellFloors(account.pool)
    // Whose turn comes next is settled at once, so that a turn ends as soon as it may.
    if (account.pool.isContested) this.#makeRoom(account.pool, this.#options.clock.nowMs)
    if (account.limits.some((limit) => limit.isContested)) this.#poll()
  }

  /** How many idle servers each worker must keep for the sake of the minimum depends on the others. */
  #tellFloors(limit: Limit): void {
    for (const account of limit.holders) this.#byAccount.get(account)?.tellFloor(limit.floorOf(account))
  }

  // Making room

  #poll(): void {
    if (this.#isPolling) return
    this.#isPolling = true
    this.#options.later(POLL_MS, () => {
      this.#isPolling = false
      this.#look()
    })
  }

  /** While somebody waits: whose permit should go there? And are the figures still right? */
  #look(): void {
    const contested = [...this.#book.limits].filter((limit) => limit.isContested)
    for (const remote of this.#ending)
      if (!remote.account.limits.some((limit) => limit.isContested)) {
        this.#ending.delete(remote)
        remote.keepTurn()
      }
    if (contested.length === 0) return
    for (const limit of contested) this.#makeRoom(limit, this.#options.clock.nowMs)
    const polls = new Map<Counter, Set<number>>()
    for (const limit of contested)
      for (const account of [...limit.holders, ...limit.blocked]) {
        const remote = this.#byAccount.get(account)
        if (remote === undefined) continue
        const pools = polls.get(remote.counter) ?? new Set()
        polls.set(remote.counter, pools.add(remote.pool))
      }
    for (const [counter, pools] of polls) counter.polled([...pools])
    this.#poll()
  }

  #makeRoom(limit: Limit, nowMs: number): void {
    // Not recalled by the books: they would count on what is in use, and look for nothing idle, long after others have given up enough.
    for (let surplus = limit.surplus - this.#turnsEnding(limit, nowMs); surplus > 0; surplus--) {
      const shares = [...limit.holders].map((holder) => this.#shareOf(holder))
      const [victim] = shares.filter(({ held }) => held > 0).sort((one, other) => other.held - one.held)
      if (victim === undefined) break
      this.#endTurn(victim.account, limit.tooMany, NOBODY_SPARED, nowMs)
    }
    for (const asking of [...limit.blocked].sort((one, other) => one.queuesSinceMs - other.queuesSinceMs)) {
      if (limit.coming > 0 || this.#turnsEnding(limit, nowMs) > 0) return
      const shares = [...limit.holders].map((holder) => this.#shareOf(holder))
      const own = shares.find(({ account }) => account === asking) ?? this.#shareOf(asking)
      const decision =
        limit === asking.pool ? chooseWithinPool(own, shares) : chooseBetweenPools(own, shares, UNFAIRNESS_MS)
      const isResting = nowMs - (this.#movedMs.get(limit) ?? -Infinity) < REST_MS
      if (decision === null || (isResting && !decision.isTurn)) continue
      this.#movedMs.set(limit, nowMs)
      this.#endTurn(decision.victim.account, EVICTED, decision.sparedSinceMs, nowMs)
    }
  }

  #endTurn(account: Account, because: string, sparedSinceMs: number, nowMs: number): void {
    const victim = this.#byAccount.get(account)
    if (victim === undefined) return
    victim.endTurn(because, sparedSinceMs, nowMs)
    this.#ending.add(victim)
  }

  /** How many permits of its holders can be expected soon, because turns are to end. */
  #turnsEnding(limit: Limit, nowMs: number): number {
    let ending = 0
    for (const holder of limit.holders) {
      const remote = this.#byAccount.get(holder)
      if (remote !== undefined && nowMs - remote.turnEndedMs < PATIENCE_MS) ending += remote.endingTurns
    }
    return ending
  }

  #shareOf(account: Account): Share & { readonly account: Account } {
    const remote = this.#byAccount.get(account)
    const { kept = 0, demand = 0, turnSinceMs = 0 } = remote ?? {}
    // Those that stay with a client are nothing to be shared.
    const held = remote?.keepsServers ? 0 : kept
    return { account, held, demand, waitingSinceMs: account.waitingSinceMs, turnSinceMs }
  }
}

const NOTHING_WANTED: PoolFigures = { wanted: 0, waiting: 0, fillsMinimum: false, waitedMs: null, idleMs: null }
