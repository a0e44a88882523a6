/** Whether there is a point in sending clients here: what a load balancer asks. Pure. */

/** `ready`, or the first thing that is in the way. */
export type Health = 'ready' | 'starting' | 'draining' | 'paused' | 'unreachable'

/** What decides about it in one process. */
export interface Circumstances {
  readonly isStarting: boolean
  /** It takes no new clients any more. */
  readonly isEnding: boolean
  /** All databases are. */
  readonly isPaused: boolean
  /** Pools that have a server. */
  readonly supplied: number
  /** Pools that have none, because where their servers are nobody answered when it was last tried. */
  readonly cutOff: number
}

/** As long as nothing has been tried, nothing is known to be wrong. */
export function healthOf({ isStarting, isEnding, isPaused, supplied, cutOff }: Circumstances): Health {
  if (isEnding) return 'draining'
  if (isStarting) return 'starting'
  if (isPaused) return 'paused'
  return supplied === 0 && cutOff > 0 ? 'unreachable' : 'ready'
}

/** Of all that serve clients together; of those that start or end only where there is no other. */
export function mergeCircumstances(parts: readonly Circumstances[]): Circumstances {
  const serving = parts.filter(({ isStarting, isEnding }) => !isStarting && !isEnding)
  const counted = serving.length > 0 ? serving : parts
  const sum = (of: (part: Circumstances) => number) => counted.reduce((total, part) => total + of(part), 0)
  return {
    isStarting: serving.length === 0 && !parts.some(({ isEnding }) => isEnding),
    isEnding: serving.length === 0 && parts.some(({ isEnding }) => isEnding),
    // One that was started a moment ago may not have heard of it yet.
    isPaused: counted.length > 0 && counted.every(({ isPaused }) => isPaused),
    supplied: sum(({ supplied }) => supplied),
    cutOff: sum(({ cutOff }) => cutOff),
  }
}
