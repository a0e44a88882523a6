/**
 * Hot path: what follows from an event, and must not mix with the work on it: it is done when that is over, and before the next event.
 * A microtask would do as well, but costs as much as all the rest of a small transaction in the pool, and is drained for each event.
 */

export interface Follower<T> {
  /** The work on the event is over. If it throws, whoever comes behind is told after the next event. */
  onEventOver(item: T): void
}

let depth = 0
/** Who is to be told, and of what, in turn: those from `next` up to `count`. */
const followers: (Follower<unknown> | null)[] = []
const items: unknown[] = []
let next = 0
let count = 0

/** Called by whoever tells of events, with `eventEnds` behind each. */
export function eventBegins(): void {
  depth++
}

export function eventEnds(): void {
  try {
    if (depth === 1 && count > 0) tellAll()
  } finally {
    depth--
  }
}

/** One event is to be told as several: what has followed so far comes before the next of them. */
export function eventGoesOn(): void {
  if (depth === 1 && count > 0) tellAll()
}

/** Outside of any event it is told in a microtask. */
export function afterEvent<T>(follower: Follower<T>, item: T): void {
  if (depth > 0) {
    followers[count] = follower as Follower<unknown>
    items[count] = item
    count++
  } else queueMicrotask(() => follower.onEventOver(item))
}

/** What is told may bring about more of its kind: that comes behind the rest, not one within the other. */
function tellAll(): void {
  while (next < count) {
    const follower = followers[next] as Follower<unknown>
    const item = items[next]
    followers[next] = null
    items[next] = null
    next++
    follower.onEventOver(item)
  }
  next = 0
  count = 0
}
