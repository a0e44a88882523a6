/** Decides which worker gives up a permit for a client that waits in another one. Pure. */

/** What one pool of one worker has, of what all workers may have together. */
export interface Share {
  /** Permits that it holds and was not told to give up. */
  readonly held: number
  /** How many it could use: those that it holds and its clients that wait, on average of late. */
  readonly demand: number
  /** Since when the first of them waits; Infinity if none does. */
  readonly waitingSinceMs: number
  /** When it last got a permit. */
  readonly turnSinceMs: number
}

export interface Decision<S extends Share> {
  readonly victim: S
  /** It is the victim's turn that ends; otherwise a permit moves for good, which has time. */
  readonly isTurn: boolean
  /** Its clients that have waited since before this are served first. */
  readonly sparedSinceMs: number
}

/** As `sparedSinceMs`: the next server that comes free goes, whoever waits there. */
export const NOBODY_SPARED = -Infinity

/** How unequal two workers must be before a permit moves: each move costs a new connection to the server. */
const LEAST_GAIN = 1.5

/**
 * Between workers that share one pool: permits go where clients are, in proportion. Where there are too few for a whole one each, they
 * take turns: whoever has none gets that of the worker whose turn has lasted longest, once all have been served there who waited
 * when it began.
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

/** Between pools that share a limit: the one whose clients have waited least, if that is clearly less. */
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
