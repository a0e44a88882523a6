/** Decides what a pool should do next. Pure, so that every case is one line in a test. */

/** How many servers of one pool may be opened at the same time. PgBouncer opens one after the other. */
export const MAX_OPENING = 10

export interface Counts {
  readonly waiting: number
  /** How long the first one has waited. */
  readonly longestWaitMs: number
  /** Dialling or logging in. */
  readonly opening: number
  /** Will be free in a moment without anyone's doing: being checked or reset. */
  readonly soonFree: number
  /** All servers, opening ones included. */
  readonly total: number
  readonly hasClients: boolean
  /** A login has failed a moment ago. */
  readonly isCoolingDown: boolean
}

export interface SizeLimits {
  /** 0 is unlimited. */
  readonly size: number
  readonly minSize: number
  readonly reserveSize: number
  readonly reserveTimeoutMs: number
}

export interface Move {
  readonly open: number
  /** Some of them are taken from the reserve. */
  readonly usesReserve: boolean
  readonly because: string
}

export function nextMove(now: Counts, limits: SizeLimits): Move {
  if (now.isCoolingDown) return { open: 0, usesReserve: false, because: 'a login has just failed' }
  const canUseReserve = limits.reserveSize > 0 && now.waiting > 0 && now.longestWaitMs >= limits.reserveTimeoutMs
  const max = limits.size === 0 ? Infinity : limits.size + (canUseReserve ? limits.reserveSize : 0)
  const room = Math.min(max - now.total, MAX_OPENING - now.opening)
  const needed = now.waiting - now.opening - now.soonFree
  if (needed > 0 && room > 0) {
    const open = Math.min(needed, room)
    const usesReserve = limits.size > 0 && now.total + open > limits.size
    return { open, usesReserve, because: usesReserve ? 'clients have waited for reserve_pool_timeout' : 'clients wait' }
  }
  if (now.total < Math.min(limits.minSize, max) && now.hasClients && now.opening === 0)
    return { open: 1, usesReserve: false, because: 'below min_pool_size' }
  return { open: 0, usesReserve: false, because: 'enough servers' }
}
