/** Pools without real servers: they treat their permits as `Pool` does, and check that each grant is right. */

import type { Accounts } from '../../../../src/pool/permits/accounts.ts'
import type { Holder } from '../../../../src/pool/permits/holder.ts'
import type { Account, Limit } from '../../../../src/pool/permits/limit.ts'

/** The current time of all pools. */
export class Time {
  nowMs = 10_000
}

export class ToyPool implements Holder {
  readonly name: string
  readonly account: Account
  readonly #accounts: Accounts
  readonly #time: Time
  /** The times since when its clients wait. */
  readonly waiting: number[] = []
  /** The times when its idle servers were last used. */
  readonly idle: number[] = []
  opening = 0
  busy = 0
  /** The number of servers that are closed but not gone yet. */
  leaving = 0
  hasClients = false
  /** The number of servers that were closed in favor of other pools. */
  evicted = 0
  /** How long each client that was served had waited. */
  readonly waits: number[] = []

  constructor(name: string, accounts: Accounts, time: Time, pool: Limit, shared: readonly Limit[]) {
    this.name = name
    this.#accounts = accounts
    this.#time = time
    this.account = accounts.open(this, pool, shared)
  }

  get total(): number {
    return this.opening + this.busy + this.idle.length + this.leaving
  }

  get wanted(): number {
    return this.total + Math.max(0, this.waiting.length - this.opening)
  }

  get fillsMinimum(): boolean {
    return this.hasClients && this.opening === 0
  }

  get waitingSinceMs(): number {
    return this.waiting[0] ?? Infinity
  }

  get idleSinceMs(): number {
    return this.idle.length === 0 ? Infinity : Math.min(...this.idle)
  }

  onGranted(usesReserve: boolean): void {
    const waitedMs = this.#time.nowMs - this.waitingSinceMs
    for (const limit of this.account.limits) {
      const before = limit.held - 1
      const isOver = limit.max > 0 && before >= limit.max
      if (isOver && !(usesReserve && limit === this.account.pool)) throw new Error(`${limit.name} is exceeded`)
    }
    if (usesReserve && !(waitedMs > 0)) throw new Error('the reserve is used for nobody')
    this.opening++
  }

  onRecalled(): void {
    if (this.idle.length === 0) throw new Error(`${this.name} has no idle server to close`)
    this.idle.splice(this.idle.indexOf(this.idleSinceMs), 1)
    this.leaving++
    this.evicted++
  }

  /** A client arrives. */
  come(): void {
    const idle = this.idle.pop()
    if (idle === undefined) {
      this.waiting.push(this.#time.nowMs)
      this.ask()
    } else {
      this.waits.push(0)
      this.busy++
    }
  }

  ask(): void {
    this.#accounts.ask(this.account, this.#time.nowMs)
  }

  /** One of its busy servers becomes free. */
  finish(): void {
    if (this.busy === 0) return
    this.busy--
    this.#serve()
  }

  /** A server that was being opened is ready. */
  open(): void {
    if (this.opening === 0) return
    this.opening--
    this.#serve()
    this.ask()
  }

  /** A server that was closed is gone. */
  go(): void {
    if (this.leaving === 0) return
    this.leaving--
    this.#accounts.giveBack(this.account, this.#time.nowMs)
  }

  /** A server is lost. */
  lose(): void {
    if (this.busy > 0) this.busy--
    else if (this.opening > 0) this.opening--
    else if (this.idle.pop() === undefined) return
    this.leaving++
    this.ask()
  }

  /** Its first waiting client gives up. */
  withdraw(): void {
    this.waiting.shift()
  }

  /** The pool and its servers are gone at once. */
  die(): void {
    this.waiting.length = 0
    this.idle.length = 0
    this.opening = 0
    this.busy = 0
    this.leaving = 0
    this.#accounts.close(this.account, this.#time.nowMs)
  }

  #serve(): void {
    const { nowMs } = this.#time
    if (this.#accounts.mustYield(this.account, nowMs) !== null) {
      this.leaving++
      this.evicted++
      this.ask()
      return
    }
    const since = this.waiting.shift()
    if (since === undefined) this.idle.push(nowMs)
    else {
      this.waits.push(nowMs - since)
      this.busy++
    }
  }
}

/** Throws unless the books are right for every pool, and no client waits that need not. */
export function expectRight(pools: readonly ToyPool[], limits: readonly Limit[], time: Time): void {
  for (const { account, total, name } of pools)
    if (account.held !== total) throw new Error(`${name} holds ${total} permits, and not ${account.held}`)
  for (const limit of limits) {
    const members = pools.filter(({ account }) => account.limits.includes(limit))
    same(
      limit.held,
      sum(members, ({ account }) => account.held),
      `held under ${limit.name}`,
    )
    same(
      limit.recalled,
      sum(members, ({ account }) => account.recalled),
      `recalled under ${limit.name}`,
    )
    const blocked = members.filter(({ account }) => account.blockedBy === limit)
    same(
      limit.missing,
      sum(blocked, ({ account }) => account.missing),
      `missing under ${limit.name}`,
    )
    same([...limit.blocked].length, blocked.length, `pools held up by ${limit.name}`)
    for (const account of limit.claimants)
      if (!account.claims.includes(limit)) throw new Error(`a permit under ${limit.name} is kept for nobody`)
    same(limit.holders.size, members.filter(({ total }) => total > 0).length, `holders under ${limit.name}`)
  }
  for (const pool of pools) expectServed(pool, pools, time)
}

function expectServed(pool: ToyPool, pools: readonly ToyPool[], { nowMs }: Time): void {
  const { account, wanted, waiting, name } = pool
  if (account.recalled > pool.leaving) throw new Error(`${name} was told to give up more than it does`)
  if (waiting.length === 0 || wanted <= account.held) return
  const full = account.limits.filter((limit) => limit.isFullFor(account, nowMs))
  if (full.length === 0) throw new Error(`${name} waits though there is room`)
  const [only, ...others] = full
  if (only === undefined || others.length > 0 || only.recalled > 0) return
  const idle = pools.find((other) => other !== pool && other.idle.length > 0 && other.account.limits.includes(only))
  if (idle) throw new Error(`${name} waits though a server of ${idle.name} is idle`)
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}

function same(actual: number, expected: number, what: string): void {
  if (actual !== expected) throw new Error(`${what}: ${actual} instead of ${expected}`)
}
