/**
 * The books of all permits: who holds how many, who waits for one, and who has to give one up. Pure: knows no timer, no process and no
 * socket, so that one process and the primary of many keep the same books.
 */

import { invariant } from '../../base/invariant.ts'
import type { Holder } from './holder.ts'
import { Account, type Limit } from './limit.ts'
import { idleVictims, longestIdle } from './victims.ts'

/** How much longer a client of another pool must have waited than ours before it gets the room of our server. */
export const UNFAIRNESS_MS = 500

/** How long room under one limit is kept for somebody who waits for room under another as well. */
export const CLAIM_MS = 2_000

/** How long nothing is kept, where nothing is idle, for somebody for whom it was once kept in vain. */
const REST_MS = 20_000

/** What the log says of a server that is closed for the sake of a client of another pool. */
export const EVICTED = 'evicted'

export class Accounts {
  open(holder: Holder, pool: Limit, shared: readonly Limit[]): Account {
    return new Account(holder, pool, shared)
  }

  /** What the holder wants may have changed: it is granted what it may have, or queued up behind a limit. */
  ask(account: Account, nowMs: number): void {
    if (account.holder.idleSinceMs !== Infinity) noteIdle(account)
    if (account.claims.length > 0 && nowMs >= account.claimedUntilMs) {
      account.mayClaimAgainMs = nowMs + REST_MS
      this.#unclaim(account, nowMs)
    }
    // Time alone may have opened the reserve, for it and for others who have waited longer.
    if (account.blockedBy !== null) this.#serve(account.limits, nowMs)
    this.#settle(account, nowMs)
    const { holder, pool } = account
    if (holder.fillsMinimum && pool.isBelowMinimum && firstFull(account, nowMs) === null) this.#grant(account)
  }

  /** A permit is back: it goes to whoever has waited for longest among those who may have it. */
  giveBack(account: Account, nowMs: number): void {
    this.#takeBack(account)
    const { holder, held, pool } = account
    // Its own clients have their turn among the others.
    if (account.blockedBy !== null) account.blockedBy.block(account, account.missing)
    else if (holder.wanted > held && holder.waitingSinceMs !== Infinity) pool.block(account, holder.wanted - held)
    this.#cameBack(account.limits, nowMs)
  }

  /** The holder is gone, and whatever it held is free. */
  close(account: Account, nowMs: number): void {
    account.blockedBy?.unblock(account)
    account.unclaim()
    while (account.held > 0) this.#takeBack(account)
    this.#cameBack(account.limits, nowMs)
  }

  /** A limit has other numbers now: whoever waits for it may have more, or holders have to give up what is too much. */
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
   * A server of this holder has come free. Says why if its permit has to go elsewhere: because there are too many, or because a client of
   * another holder has waited for clearly longer than its own. From then on it counts as recalled.
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

  /** It shall give one up, though none of its servers need be idle: see `Holder.onRecalled`. */
  recall(account: Account, because: string, waitingSinceMs: number): void {
    recall(account, because, waitingSinceMs)
  }

  /** It will not give up what it was told to. */
  unrecall(account: Account): void {
    if (account.recalled > 0) forgetRecall(account)
  }

  #mustYieldUnder(limit: Limit, account: Account, isIdle: boolean, nowMs: number): boolean {
    for (;;) {
      // What is on its way already is for whoever waits for longest. While it is, our own clients need not stand back as well.
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
      // This server alone does not help it: it waits for what is hardest to come by, and what is easier may be kept for it meanwhile.
      waitForBusiest(oldest, others)
      const waitedMs = nowMs - oldest.waitingSinceMs
      if (oldest.claims.length === 0 && waitedMs >= UNFAIRNESS_MS && nowMs >= oldest.mayClaimAgainMs) {
        const kept = full.filter((each) => account.limits.includes(each))
        oldest.claim(kept, nowMs + CLAIM_MS)
        return true
      }
    }
  }

  /** Grants what the holder wants and may have. If a limit is in the way, it waits for that, and idle servers make room. */
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
      // What came back may have been too little: then nothing is on its way to where a permit is kept for it.
      const needed = full.filter((limit) => !account.claims.includes(limit) || limit.coming <= 0)
      // Enough may be on its way for all who wait. Where it has to come under several limits, each looks after itself.
      const [only, ...others] = needed
      if (only !== undefined && others.length === 0 && only.coming >= Math.max(only.missing, 1)) return
      const victims = idleVictims(needed, account)
      if (victims === null) waitForBusiest(account, needed)
      if (victims === null || victims.length === 0) return
      this.#recallAll(victims, full, account, nowMs)
    }
  }

  /** @param full what stands in the way of the one that asks: the permits may come back one after the other, so each is kept for it */
  #recallAll(victims: readonly Account[], full: readonly Limit[], asking: Account, nowMs: number): void {
    if (full.length > 1) asking.claim(full, nowMs + CLAIM_MS)
    for (const victim of victims) recall(victim, EVICTED, asking.waitingSinceMs)
  }

  #cameBack(limits: readonly Limit[], nowMs: number): void {
    this.#serve(limits, nowMs)
    // It may have been too little, of the reserve for one: whoever is next looks again whether anything is idle.
    for (const limit of limits) {
      const oldest = limit.oldestBlocked
      if (oldest !== null) this.#settle(oldest, nowMs)
    }
  }

  /** There is room: it goes to whoever has waited for longest. Whoever still lacks another limit waits for that from now on. */
  #serve(limits: readonly Limit[], nowMs: number): void {
    for (const limit of limits) {
      // Asked first, because to walk through a set makes an object.
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

  /** What was kept for it is there for others. */
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
    // Any permit that comes back will do for one that was recalled.
    if (account.recalled > 0) forgetRecall(account)
    // One may have been recalled twice, by figures from before the first time: nobody shall wait for what will not come.
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

/** Whether a server of `account` is better used for the first client of `other`: within one pool the first to come is the first served. */
function hasToYield(account: Account, other: Account): boolean {
  if (account.pool === other.pool) return other.waitingSinceMs < account.waitingSinceMs
  return other.waitingSinceMs <= account.waitingSinceMs - UNFAIRNESS_MS
}

function noteIdle(account: Account): void {
  for (const limit of account.limits) limit.mayHaveIdle = true
}

/** A limit that is in the way; the one that it waits for already, if that still is. */
function firstFull(account: Account, nowMs: number): Limit | null {
  const { limits, blockedBy } = account
  if (blockedBy?.isFullFor(account, nowMs)) return blockedBy
  for (const limit of limits) if (limit.isFullFor(account, nowMs)) return limit
  return null
}

function allFull(account: Account, nowMs: number): Limit[] {
  return account.limits.filter((limit) => limit.isFullFor(account, nowMs))
}

/** It waits for that limit under which no idle server can make room: the others do not help it before. */
function waitForBusiest(account: Account, needed: readonly Limit[]): void {
  const busiest = needed.find((limit) => longestIdle([limit], account) === null)
  invariant(busiest !== undefined, 'room can be made under each limit, but not under all')
  busiest.block(account, account.missing)
}
