/**
 * Hot path: what follows from an event, and must not mix with the work on it: it is done when that is over, and before the next event.
 * A microtask would do as well, but costs as much as all the rest of a small transaction in the pool, and is drained for each event.
 */

export interface Follower<T> {
  /** The work on the event is over. Must not throw. */
  onEventOver(item: T): void
}

let depth = 0
/** Who is to be told, and of what, in turn. */
const followers: Follower<unknown>[] = []
const items: unknown[] = []

/** Called by whoever tells of events, with `eventEnds` behind each. */
export function eventBegins(): void {
  depth++
}

export function eventEnds(): void {
  if (depth === 1 && followers.length > 0) tellAll()
  depth--
}

/** Outside of any event it is told in a microtask. */
export function afterEvent<T>(follower: Follower<T>, item: T): void {
  if (depth > 0) {
    followers.push(follower as Follower<unknown>)
    items.push(item)
  } else queueMicrotask(() => follower.onEventOver(item))
}

/** What is told may bring about more of its kind: that comes behind the rest, not one within the other. */
function tellAll(): void {
  for (let index = 0; index < followers.length; index++)
    (followers[index] as Follower<unknown>).onEventOver(items[index])
  followers.length = 0
  items.length = 0
}
