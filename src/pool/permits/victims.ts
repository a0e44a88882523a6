/** Chooses whose idle servers are closed to make room for an account that waits. Pure. */

import type { Account, Limit } from './limit.ts'

/** Returns the accounts whose idle servers together make room under all of these limits; null if there is a limit under which no room can be made. */
export function idleVictims(limits: readonly Limit[], asking: Account): Account[] | null {
  const one = longestIdle(limits, asking)
  if (one !== null) return [one]
  const victims: Account[] = []
  // Each limit needs a victim of its own: an account under two of them is under all, because pools under one limit of a pool share its others too.
  for (const limit of limits) {
    const victim = longestIdle([limit], asking)
    if (victim === null) return null
    victims.push(victim)
  }
  return victims
}

/** Returns the holder under all of these limits, other than `asking`, whose idle server was used longest ago; null if there is none. */
export function longestIdle(limits: readonly Limit[], asking: Account | null): Account | null {
  const [first, ...others] = limits
  if (first === undefined || limits.some((limit) => !limit.mayHaveIdle)) return null
  let longest: Account | null = null
  let hasIdle = false
  for (const account of first.holders) {
    const { idleSinceMs } = account.holder
    // If all its permits are on their way back, what the holder reported about idle servers is outdated.
    if (idleSinceMs === Infinity || account.recalled >= account.held) continue
    hasIdle = true
    if (account === asking || others.some((limit) => !account.limits.includes(limit))) continue
    if (longest === null || idleSinceMs < longest.holder.idleSinceMs) longest = account
  }
  first.mayHaveIdle = hasIdle
  return longest
}
