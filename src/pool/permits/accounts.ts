/**
 * Accounts for all permits: who holds how many, who waits for one, and who has to give one up. Pure: it uses no timer, process or socket, so
 * that a single process and the primary of several keep the same books.
 */

import { invariant } from '../../base/invariant.ts'
import type { Holder } from './holder.ts'
import { Account, type Limit } from './limit.ts'
import { idleVictims, longestIdle } from './victims.ts'

/** How much longer a client of another pool must have waited than a pool's own clients before that pool gives up a server for it. */
export const UNFAIRNESS_MS = 500

/** How long room under one limit is kept for an account that needs room under another limit as well. */
export const CLAIM_MS = 2_000

/** After a claim has expired in vain, how long the account may not claim room again, unless idle servers are closed for it. */
const REST_MS = 20_000

/** The logged reason for closing a server so that a client of another pool, or of another worker, can have one. */
export const EVICTED = 'evicted'

export class Accounts {
  open(holder: Holder, pool: Limit, shared: readonly Limit[]): Account {
    return new Account(holder, pool, shared)
  }

  /** What the holder wants may have changed. Grants it what it may have, and queues it at a limit that is full if it wants more. */
  ask(account: Account, nowMs: number): void {
    if (account.holder.idleSinceMs !== Infinity) noteIdle(account)
    if (account.claims.length > 0 && nowMs >= account.claimedUntilMs) {
      account.mayClaimAgainMs = nowMs + REST_MS
      this.#unclaim(account, nowMs)
    }
    // The passing of time may have opened the reserve, for this account and for others that have waited longer.
    if (account.blockedBy !== null) this.#serve(account.limits, nowMs)
    this.#settle(account, nowMs)
    const { holder, pool } = account
    if (holder.fillsMinimum && pool.isBelowMinimum && firstFull(account, nowMs) === null) this.#grant(account)
  }

  /** Takes back a permit. It goes to the account that has waited longest among those that may have it. */
  giveBack(account: Account, nowMs: number): void {
    this.#takeBack(account)
    const { holder, held, pool } = account
    // The holder's own clients wait in line with those of other holders.
    if (account.blockedBy !== null) account.blockedBy.block(account, account.missing)
    else if (holder.wanted > held && holder.waitingSinceMs !== Infinity) pool.block(account, holder.wanted - held)
    this.#cameBack(account.limits, nowMs)
  }

  /** The holder is gone: everything that it held is free. */
  close(account: Account, nowMs: number): void {
    account.blockedBy?.unblock(account)
    account.unclaim()
    while (account.held > 0) this.#takeBack(account)
    this.#cameBack(account.limits, nowMs)
  }

  /** A limit has new numbers. Accounts that wait for it may get more; if it was lowered, holders with idle servers give up the surplus. */
  resized(limit: Limit, nowMs: number): void {
    this.#serve([limit], nowMs)
    limit.mayHaveIdle = true
    while (limit.surplus > 0) {
      const victim = longestIdle([limit], null)
      if (victim === null) return
      recall(victim, limit.tooMany, nowMs)
    }
  }

  /**
   * A server of this holder has come free. Returns the reason why its permit has to go elsewhere, or null. The reason is that too many permits
   * are held, or that a client of another holder has waited for clearly longer than the holder's own clients. If there is a reason, the permit
   * counts as recalled from now on.
   */
  mustYield(account: Account, nowMs: number): string | null {
    const isIdle = account.waitingSinceMs === Infinity
    for (const limit of account.limits) {
      let because: string | null = null
      if (limit.surplus > 0) because = limit.tooMany
      else if (limit.missing > 0 && this.#mustYieldUnder(limit, account, isIdle, nowMs)) because = EVICTED
      if (because !== null) {
        noteRecalled(account)
        return because
      }
    }
    if (isIdle) noteIdle(account)
    return null
  }

  /** Tells the holder to give up a permit, even if none of its servers is idle: see `Holder.onRecalled`. */
  recall(account: Account, because: string, waitingSinceMs: number): void {
    recall(account, because, waitingSinceMs)
  }

  /** The holder will not give up a permit that was recalled. */
  unrecall(account: Account): void {
    if (account.recalled > 0) forgetRecall(account)
  }

  #mustYieldUnder(limit: Limit, account: Account, isIdle: boolean, nowMs: number): boolean {
    for (;;) {
      // Permits that are on their way back go to whoever has waited longest. An idle server yields only if they are fewer than what is missing. If
      // the holder's own clients wait, its server yields only if none is on its way.
      if (isIdle ? limit.coming >= limit.missing : limit.coming > 0) return false
      const oldest = limit.oldestBlocked
      if (oldest === null || oldest === account) return false
      if (!isIdle && !hasToYield(account, oldest)) return false
      const full = allFull(oldest, nowMs)
      const others = full.filter((each) => !account.limits.includes(each))
      const victims = idleVictims(others, oldest)
      if (victims !== null) {
        this.#recallAll(victims, full, oldest, nowMs)
        return true
      }
      // This server's permit alone does not help `oldest`, and no idle server makes room under the other limits. `oldest` queues at the limit that is
      // hardest to get room under, and room under the easier ones may be kept for it meanwhile.
      waitForBusiest(oldest, others)
      const waitedMs = nowMs - oldest.waitingSinceMs
      if (oldest.claims.length === 0 && waitedMs >= UNFAIRNESS_MS && nowMs >= oldest.mayClaimAgainMs) {
        const kept = full.filter((each) => account.limits.includes(each))
        oldest.claim(kept, nowMs + CLAIM_MS)
        return true
      }
    }
  }

  /** Grants what the holder wants and may have. If a limit is full, the account queues there, and idle servers are recalled to make room. */
  #settle(account: Account, nowMs: number): void {
    const { holder } = account
    for (;;) {
      const missing = holder.wanted - account.held
      if (missing <= 0) {
        account.blockedBy?.unblock(account)
        this.#unclaim(account, nowMs)
        return
      }
      const full = firstFull(account, nowMs)
      if (full === null) this.#grant(account)
      else {
        if (holder.waitingSinceMs !== Infinity) this.#block(account, full, missing, nowMs)
        return
      }
    }
  }

  #block(account: Account, first: Limit, missing: number, nowMs: number): void {
    first.block(account, missing)
    for (let left = missing; left > 0 && account.blockedBy !== null && first.mayHaveIdle; left--) {
      const full = allFull(account, nowMs)
      // Under a limit where room is kept for this account already, no more has to be made while permits are coming. If none are coming, what came
      // back was too little.
      const needed = full.filter((limit) => !account.claims.includes(limit) || limit.coming <= 0)
      // If only one limit is in the way, enough may be on its way for everyone who waits there. With several, each account recalls for itself.
      const [only, ...others] = needed
      if (only !== undefined && others.length === 0 && only.coming >= Math.max(only.missing, 1)) return
      const victims = idleVictims(needed, account)
      if (victims === null) waitForBusiest(account, needed)
      if (victims === null || victims.length === 0) return
      this.#recallAll(victims, full, account, nowMs)
    }
  }

  /**
   * @param full the limits in the way of `asking`. If there are several, the permits may come back one after the other, so room under each is
   * kept for it
   */
  #recallAll(victims: readonly Account[], full: readonly Limit[], asking: Account, nowMs: number): void {
    if (full.length > 1) asking.claim(full, nowMs + CLAIM_MS)
    for (const victim of victims) recall(victim, EVICTED, asking.waitingSinceMs)
  }

  #cameBack(limits: readonly Limit[], nowMs: number): void {
    this.#serve(limits, nowMs)
    // What came back may not have been enough for the next account: if it was a permit of the reserve, the limit is still full. The account looks for
    // idle servers again.
    for (const limit of limits) {
      const oldest = limit.oldestBlocked
      if (oldest !== null) this.#settle(oldest, nowMs)
    }
  }

  /**
   * There is room under these limits. Gives it to the account that has waited longest, and then to the next. An account that still lacks room
   * under another limit queues there from now on.
   */
  #serve(limits: readonly Limit[], nowMs: number): void {
    for (const limit of limits) {
      // Checked first, because iterating over a set allocates an object.
      if (limit.claimants.size === 0) continue
      for (const claimant of limit.claimants) this.#settle(claimant, nowMs)
    }
    for (;;) {
      let next: Account | null = null
      for (const limit of limits) {
        const oldest = limit.oldestBlocked
        if (oldest === null || limit.isFullFor(oldest, nowMs)) continue
        if (next === null || oldest.queuesSinceMs < next.queuesSinceMs) next = oldest
      }
      if (next === null) return
      this.#settle(next, nowMs)
    }
  }

  /** Gives the room that was kept for the account to others. */
  #unclaim(account: Account, nowMs: number): void {
    if (account.claims.length > 0) this.#serve(account.unclaim(), nowMs)
  }

  #grant(account: Account): void {
    const usesReserve = account.pool.isAtReserve
    account.blockedBy?.unblock(account)
    account.unclaim()
    account.held++
    for (const limit of account.limits) limit.take(account)
    account.holder.onGranted(usesReserve)
  }

  #takeBack(account: Account): void {
    invariant(account.held > 0, 'a permit is given back that nobody holds')
    account.held--
    for (const limit of account.limits) limit.giveBack(account)
    // Any permit that comes back counts as one that was recalled.
    if (account.recalled > 0) forgetRecall(account)
    // A permit may have been recalled twice, the second time because of outdated figures. Nobody must wait for one that will not come.
    while (account.recalled > account.held) forgetRecall(account)
  }
}

function forgetRecall(account: Account): void {
  account.recalled--
  for (const limit of account.limits) limit.recalled--
}

function recall(account: Account, because: string, waitingSinceMs: number): void {
  noteRecalled(account)
  account.holder.onRecalled(because, waitingSinceMs)
}

function noteRecalled(account: Account): void {
  account.recalled++
  for (const limit of account.limits) limit.recalled++
}

/**
 * Whether a server of `account` is better used for the first client of `other`. Within one pool, clients are served in the order in which they
 * came.
 */
function hasToYield(account: Account, other: Account): boolean {
  if (account.pool === other.pool) return other.waitingSinceMs < account.waitingSinceMs
  return other.waitingSinceMs <= account.waitingSinceMs - UNFAIRNESS_MS
}

function noteIdle(account: Account): void {
  for (const limit of account.limits) limit.mayHaveIdle = true
}

/** Returns a limit that is full for the account, first of all the one that it is queued at already; null if there is none. */
function firstFull(account: Account, nowMs: number): Limit | null {
  const { limits, blockedBy } = account
  if (blockedBy?.isFullFor(account, nowMs)) return blockedBy
  for (const limit of limits) if (limit.isFullFor(account, nowMs)) return limit
  return null
}

function allFull(account: Account, nowMs: number): Limit[] {
  return account.limits.filter((limit) => limit.isFullFor(account, nowMs))
}

/** Queues the account at the limit under which no idle server can make room: before there is room there, room under the others does not help. */
function waitForBusiest(account: Account, needed: readonly Limit[]): void {
  const busiest = needed.find((limit) => longestIdle([limit], account) === null)
  invariant(busiest !== undefined, 'room can be made under each limit, but not under all')
  busiest.block(account, account.missing)
}
