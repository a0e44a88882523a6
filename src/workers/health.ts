/** Decides whether clients should be sent here, which is what a load balancer asks. Pure. */

/** `ready`, or the first reason why not. */
export type Health = 'ready' | 'starting' | 'draining' | 'paused' | 'unreachable'

/** What decides about the health of one process. */
export interface Circumstances {
  readonly isStarting: boolean
  /** Whether it takes no new clients any more. */
  readonly isEnding: boolean
  /** Whether all databases are paused. */
  readonly isPaused: boolean
  /** How many pools have a server. */
  readonly supplied: number
  /** How many pools have no server because nobody answered there when it was last tried. */
  readonly cutOff: number
}

/** As long as no server has been tried, nothing is known to be wrong. */
export function healthOf({ isStarting, isEnding, isPaused, supplied, cutOff }: Circumstances): Health {
  if (isEnding) return 'draining'
  if (isStarting) return 'starting'
  if (isPaused) return 'paused'
  return supplied === 0 && cutOff > 0 ? 'unreachable' : 'ready'
}

/** Sums up the processes that serve clients. Those that are starting or ending count only if there are no others. */
export function mergeCircumstances(parts: readonly Circumstances[]): Circumstances {
  const serving = parts.filter(({ isStarting, isEnding }) => !isStarting && !isEnding)
  const counted = serving.length > 0 ? serving : parts
  const sum = (of: (part: Circumstances) => number) => counted.reduce((total, part) => total + of(part), 0)
  return {
    isStarting: serving.length === 0 && !parts.some(({ isEnding }) => isEnding),
    isEnding: serving.length === 0 && parts.some(({ isEnding }) => isEnding),
    // A worker that has just started may not have carried out the PAUSE yet.
    isPaused: counted.length > 0 && counted.every(({ isPaused }) => isPaused),
    supplied: sum(({ supplied }) => supplied),
    cutOff: sum(({ cutOff }) => cutOff),
  }
}
