/** Decides how many servers a pool wants. Whether it gets them is up to its permits. Pure, so that every case is one line in a test. */

/** How many servers of one pool may be opened at the same time. PgBouncer opens one after the other. */
export const MAX_OPENING = 10

export interface Counts {
  readonly waiting: number
  /** Dialing or logging in. */
  readonly opening: number
  /** Being checked or reset, and free in a moment. */
  readonly soonFree: number
}

/** Returns how many more servers the pool would open if there were no limits. */
export function serversMissing({ waiting, opening, soonFree }: Counts): number {
  return Math.max(0, Math.min(waiting - opening - soonFree, MAX_OPENING - opening))
}
