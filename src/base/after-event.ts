/**
 * Hot path: runs work that follows from an event, but must not mix with the handling of the event: when that is over, and before the next
 * event. A microtask would do as well, but costs as much as all the rest of a small transaction in the pool, and the queue would be drained
 * for each event.
 */

export interface Follower<T> {
  /** Called when the handling of the event is over. If it throws, the followers behind it are called with the next event. */
  onEventOver(item: T): void
}

let depth = 0
/** The followers to be called and the items to call them with, in this order: those from `next` up to `count`. */
const followers: (Follower<unknown> | null)[] = []
const items: unknown[] = []
let next = 0
let count = 0

/** Called by code that reports events, before each event. `eventEnds` must follow behind it. */
export function eventBegins(): void {
  if (depth === 0 && count > 0) eventOfItsOwn()
  depth++
}

export function eventEnds(): void {
  try {
    if (depth === 1 && count > 0) tellAll()
  } finally {
    depth--
  }
}

/** Called where one event is reported as several: runs the followers so far before the next part of the event. */
export function eventGoesOn(): void {
  if (depth === 1 && count > 0) tellAll()
}

/**
 * Has `follower.onEventOver(item)` called after the current event. Outside of any event, it is called in a microtask, or before the next event if
 * that is earlier: a stream of Node that goes on reading does so before the microtasks.
 */
export function afterEvent<T>(follower: Follower<T>, item: T): void {
  followers[count] = follower as Follower<unknown>
  items[count] = item
  count++
  if (depth === 0) queueMicrotask(eventOfItsOwn)
}

function eventOfItsOwn(): void {
  depth++
  eventEnds()
}

/** A follower may add further followers. They are called behind the rest, not one within the other. */
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
