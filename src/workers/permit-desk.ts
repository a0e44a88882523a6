/**
 * The permits of a fleet, kept by its primary: one book for all workers, and the decisions about which worker gives up a permit for a client of
 * another.
 */

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
  /** Calls `work` once, after `ms`. */
  later(ms: number, work: () => void): void
}

/** After a permit has moved from one worker to another, no other permit of the same limit moves for this long, unless a turn ends. */
const REST_MS = 50

/**
 * How long a worker whose turn is to end may take to serve the clients that it may serve first. After that, another worker is asked as well,
 * since a transaction there may take any time.
 */
const PATIENCE_MS = 200

/** For how long no more servers are opened than Postgres had room for. */
const CAP_MS = 2_000

/** The shortest time between two waits of a refused worker for servers that others are opening, while no worker has an open server. */
const HOPE_MS = 10_000

/** For how long it waits then: about the time that a login takes on a busy machine. */
const HOPING_MS = 1_000

/** How often workers are asked for their figures while a client waits for a permit that another worker may have to spare. */
const POLL_MS = 10

export class PermitDesk {
  readonly #options: PermitDeskOptions
  readonly #book: PermitBook
  /** By worker and number of the pool. */
  readonly #accounts = new Map<Counter, Map<number, RemotePool>>()
  readonly #byAccount = new Map<Account, RemotePool>()
  /** When a permit under a limit was last taken from one worker for another. */
  readonly #movedMs = new WeakMap<Limit, number>()
  /** Pools that were told that their turn is over. */
  readonly #ending = new Set<RemotePool>()
  /** For a pool's limit, the last time that a worker was refused while other workers had servers of the pool. */
  readonly #readyMs = new WeakMap<Limit, number>()
  #isPolling = false

  constructor(options: PermitDeskOptions) {
    this.#options = options
    this.#book = new PermitBook(options.sizesOf)
  }

  /** How many permits are held; for tests and the console. */
  get held(): number {
    let held = 0
    for (const account of this.#byAccount.keys()) held += account.held
    return held
  }

  get limits(): Iterable<Limit> {
    return this.#book.limits
  }

  // Messages from workers

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

  /** A pool wants more, or reports its figures because it was asked for them. */
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
    // Its earlier figures may be too old to be compared with those of other pools.
    remote.note(figures, this.#options.clock.nowMs)
    remote.noteReturn()
    this.#book.accounts.giveBack(remote.account, this.#options.clock.nowMs)
    this.#settled(remote)
  }

  /** A permit was recalled from a pool that has no idle server any more. It may take any time to come back, so it is not counted on. */
  missed(counter: Counter, pool: number): void {
    const remote = this.#find(counter, pool)
    if (remote === null) return
    if (remote.account.recalled > 0) this.#book.accounts.unrecall(remote.account)
    // A permit that came back meanwhile was counted as the recalled one, but was that of a turn.
    else remote.noteReturn()
    this.#poll()
  }

  closed(counter: Counter, pool: number): void {
    const remote = this.#find(counter, pool)
    if (remote === null) return
    this.#accounts.get(counter)?.delete(pool)
    this.#forget(remote)
  }

  /**
   * The worker is gone, and so are its servers, except for those that Postgres has not ended yet: `stillThere` has the number of the pool of
   * each. The caller gives the permit of each back once it has ended.
   */
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

  /**
   * Postgres has no room for another server of the pool. For CAP_MS the pool is limited to the servers that it has, and workers whose clients
   * wait take turns with them. Returns whether clients of this worker have something to wait for.
   */
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
    // No other worker has anything. If some had servers a moment ago, Postgres may not have noticed yet that these are gone, or it has counted other
    // logins that it refused as well. Then it is worth waiting.
    if (held === 0) return nowMs - (this.#readyMs.get(limit) ?? -Infinity) < HOPING_MS
    if (ready > 0) this.#readyMs.set(limit, nowMs)
    // Servers that other workers are opening may have taken the room. If these come to nothing either, the refusal is final.
    else if (nowMs >= remote.hopesAgainMs) {
      remote.hopesUntilMs = nowMs + HOPING_MS
      remote.hopesAgainMs = nowMs + HOPE_MS
    } else if (nowMs >= remote.hopesUntilMs) return false
    limit.cap((ready || held) + staying, nowMs + CAP_MS)
    return true
  }

  /** The settings have changed: gives all limits their new numbers. */
  resize(): void {
    this.#book.renumber()
    for (const account of this.#byAccount.keys()) this.#book.resized(account, this.#options.clock.nowMs)
    // Also for pools that have no minimum any more, since `#settled` sends floors only for those that have one.
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
    // Decided at once, rather than at the next poll, so that a turn ends as soon as it may.
    if (account.pool.isContested) this.#makeRoom(account.pool, this.#options.clock.nowMs)
    if (account.limits.some((limit) => limit.isContested)) this.#poll()
  }

  /** Tells each worker how many servers it must keep for `min_pool_size`, which depends on the others. */
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

  /** While a client waits: decides whose permit goes to it, and asks for new figures. */
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
    // Turns are ended rather than permits recalled in the books: the books would count on permits that are in use, and look for no idle servers, long
    // after other workers have given up enough.
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

  /** Returns how many permits can be expected soon because turns are to end. */
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
    // Servers that stay with a client cannot be shared.
    const held = remote?.keepsServers ? 0 : kept
    return { account, held, demand, waitingSinceMs: account.waitingSinceMs, turnSinceMs }
  }
}

const NOTHING_WANTED: PoolFigures = { wanted: 0, waiting: 0, fillsMinimum: false, waitedMs: null, idleMs: null }
