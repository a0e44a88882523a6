/** Decides which worker gives up a permit for a client that waits in another worker. Pure. */

/** One pool of one worker, and what it has of the permits under a limit that all workers share. */
export interface Share {
  /** Permits that it holds and was not told to give up. */
  readonly held: number
  /** How many it could use: those that it holds, plus its clients that wait; a recent average. */
  readonly demand: number
  /** Since when the first of its clients waits; Infinity if none does. */
  readonly waitingSinceMs: number
  /** When it last got a permit. */
  readonly turnSinceMs: number
}

export interface Decision<S extends Share> {
  readonly victim: S
  /** True if the victim's turn ends. Otherwise a permit moves permanently, which is not urgent. */
  readonly isTurn: boolean
  /** Clients of the victim that have waited since before this are served first. */
  readonly sparedSinceMs: number
}

/** As `sparedSinceMs`: the next server that comes free goes, even if clients wait there. */
export const NOBODY_SPARED = -Infinity

/** How unequal two workers must be before a permit moves: each move costs a new connection to PostgreSQL. */
const LEAST_GAIN = 1.5

/**
 * Chooses between workers that share one pool. Permits go where clients are, in proportion to demand. If there are too few for every worker to
 * have one, the workers take turns: a worker that has none gets one from the worker whose turn has lasted longest, once that has served all
 * clients that were waiting when its turn began.
 */
export function chooseWithinPool<S extends Share>(asking: S, holders: readonly S[]): Decision<S> | null {
  const others = holders.filter((other) => other !== asking && other.held > 0)
  const all = [asking, ...others]
  const permits = sum(all.map(({ held }) => held))
  const demand = sum(all.map((share) => share.demand))
  const surplusOf = (share: S) => share.held - (permits * share.demand) / demand
  let richest: S | null = null
  for (const other of others) if (richest === null || surplusOf(other) > surplusOf(richest)) richest = other
  if (richest === null) return null
  if (surplusOf(richest) - surplusOf(asking) >= LEAST_GAIN && richest.held > 1)
    return { victim: richest, isTurn: false, sparedSinceMs: NOBODY_SPARED }
  if (asking.held > 0) return null
  let longest: S | null = null
  for (const other of others) if (longest === null || other.turnSinceMs < longest.turnSinceMs) longest = other
  return longest && { victim: longest, isTurn: true, sparedSinceMs: longest.turnSinceMs }
}

/**
 * Chooses between pools that share a limit: the pool whose clients have waited least gives one up. Clients there that have not waited for
 * clearly less than those of `asking` (by `unfairnessMs`) are served first.
 */
export function chooseBetweenPools<S extends Share>(
  asking: S,
  holders: readonly S[],
  unfairnessMs: number,
): Decision<S> | null {
  let victim: S | null = null
  for (const other of holders) {
    if (other === asking || other.held === 0) continue
    if (victim === null || other.waitingSinceMs > victim.waitingSinceMs) victim = other
  }
  return victim && { victim, isTurn: false, sparedSinceMs: asking.waitingSinceMs + unfairnessMs }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
