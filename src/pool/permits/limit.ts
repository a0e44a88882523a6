/** One limit on permits (for a pool, a database or a user), and the accounts that it holds up. */

import { invariant } from '../../base/invariant.ts'
import { type Aged, AgeQueue } from './age-queue.ts'
import type { Holder } from './holder.ts'

/** Numbers of permits. Only the limits of pools have the last three. */
export interface Sizes {
  /** 0 is unlimited. */
  readonly max: number
  /** How many more there may be for clients that have waited for `reserveTimeoutMs`. */
  readonly reserve?: number
  readonly reserveTimeoutMs?: number
  /** How many servers there should be while the pool has clients. */
  readonly min?: number
}

export class Limit {
  readonly name: string
  #max = 0
  #reserve = 0
  #reserveTimeoutMs = 0
  #min = 0
  #cap = Infinity
  #cappedUntilMs = -Infinity
  held = 0
  /** How many of those are on their way back because they were recalled. */
  recalled = 0
  /** Accounts that hold at least one. */
  readonly holders = new Set<Account>()
  /** Accounts for each of which one permit is kept while they wait for room under another limit as well. */
  readonly claimants = new Set<Account>()
  /** At least one of the holders may have an idle server. Kept so that the holders of a busy limit are not searched again and again. */
  mayHaveIdle = false
  readonly #blocked = new AgeQueue<Account>()
  /** How many permits are wanted by the accounts that it holds up. */
  #missing = 0

  constructor(name: string, sizes: Sizes) {
    this.name = name
    this.resize(sizes)
  }

  /** Sets new numbers. Granting and recalling permits accordingly is up to `Accounts.resized`. */
  resize({ max, reserve = 0, reserveTimeoutMs = 0, min = 0 }: Sizes): void {
    this.#max = max
    this.#reserve = reserve
    this.#reserveTimeoutMs = reserveTimeoutMs
    this.#min = min
  }

  get max(): number {
    return this.#max
  }

  get isBelowMinimum(): boolean {
    return this.held < this.#min && (this.#max === 0 || this.held < this.#max)
  }

  get hasMinimum(): boolean {
    return this.#min > 0
  }

  /** An account waits for a permit, or too many are held. */
  get isContested(): boolean {
    return this.#missing > 0 || this.surplus > 0
  }

  get missing(): number {
    return this.#missing
  }

  /** How many of the permits held exceed the limit and are not recalled yet. Above 0 after the limit was lowered. */
  get surplus(): number {
    return Math.max(0, -this.coming)
  }

  /** The logged reason for closing a server whose permit is one too many. */
  get tooMany(): string {
    return this.name === 'pool_size' ? 'too many servers in the pool' : `too many servers (${this.name})`
  }

  /** How many of the recalled permits will be available to accounts that wait. Below 0, more have to be recalled to get down to the limit. */
  get coming(): number {
    return this.#max === 0 ? this.recalled : this.recalled - Math.max(0, this.held - this.#max - this.#reserve)
  }

  /** How many of its permits an account must keep for `min_pool_size`. */
  floorOf(account: Account): number {
    return this.#min - (this.held - account.held)
  }

  /** Allows no more than `most` permits until `untilMs`, whatever the settings say. Permits that are held already stay. */
  cap(most: number, untilMs: number): void {
    this.#cap = most
    this.#cappedUntilMs = untilMs
  }

  /** Whether an account can get no further permit at present. Whether the reserve is open to it depends on how long its first client has waited. */
  isFullFor(account: Account, nowMs: number): boolean {
    const taken = this.held + this.claimants.size - (this.claimants.has(account) ? 1 : 0)
    if (taken >= this.#cap && nowMs < this.#cappedUntilMs) return true
    if (this.#max === 0) return false
    if (taken < this.#max) return false
    return nowMs - account.waitingSinceMs < this.#reserveTimeoutMs || taken >= this.#max + this.#reserve
  }

  /** Whether the next permit is one of the reserve. */
  get isAtReserve(): boolean {
    return this.#max > 0 && this.held >= this.#max
  }

  take(account: Account): void {
    this.held++
    this.holders.add(account)
  }

  giveBack(account: Account): void {
    if (this.held <= 0) invariant(false, `${this.name} is given back more often than granted`)
    this.held--
    if (account.held === 0) this.holders.delete(account)
  }

  // Accounts that are held up

  block(account: Account, missing: number): void {
    if (account.blockedBy === this) this.#blocked.noteOlder(account)
    else {
      account.blockedBy?.unblock(account)
      account.blockedBy = this
      this.#blocked.add(account)
    }
    this.#missing += missing - account.missing
    account.missing = missing
  }

  unblock(account: Account): void {
    this.#blocked.remove(account)
    this.#missing -= account.missing
    account.missing = 0
    account.blockedBy = null
  }

  /** The account held up here that has waited longest; null if there is none. Drops accounts that no longer wait. */
  get oldestBlocked(): Account | null {
    for (;;) {
      const { first } = this.#blocked
      if (first === null || first.waitingSinceMs !== Infinity) return first
      this.unblock(first)
    }
  }

  get blocked(): Iterable<Account> {
    return this.#blocked
  }
}

const NO_LIMITS: readonly Limit[] = []

/** The account of one holder. */
export class Account implements Aged {
  readonly holder: Holder
  /** The limit of its own pool. `limits` also has those that it shares with other pools. */
  readonly pool: Limit
  readonly limits: readonly Limit[]
  held = 0
  /** How many of those it was told to give up and has not given back yet. */
  recalled = 0
  /** The limit that it is queued at: one of those that are full for it. */
  blockedBy: Limit | null = null
  missing = 0
  queuedSinceMs = Infinity
  place = -1
  /** The limits under which a permit is kept for it. */
  claims = NO_LIMITS
  claimedUntilMs = 0
  mayClaimAgainMs = 0

  constructor(holder: Holder, pool: Limit, shared: readonly Limit[]) {
    this.holder = holder
    this.pool = pool
    this.limits = [pool, ...shared]
  }

  get queuesSinceMs(): number {
    return this.holder.queuesSinceMs ?? this.holder.waitingSinceMs
  }

  get waitingSinceMs(): number {
    return this.holder.waitingSinceMs
  }

  claim(limits: readonly Limit[], untilMs: number): void {
    this.claims = [...this.claims, ...limits.filter((limit) => !this.claims.includes(limit))]
    for (const limit of limits) limit.claimants.add(this)
    this.claimedUntilMs = untilMs
  }

  /** Drops its claims. Returns the limits that they were on. */
  unclaim(): readonly Limit[] {
    const { claims } = this
    for (const limit of claims) limit.claimants.delete(this)
    this.claims = NO_LIMITS
    return claims
  }
}
