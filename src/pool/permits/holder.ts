/**
 * The interface between a pool and whatever grants permits. A permit is the right to hold one server connection, from dialing until the
 * connection has ended.
 */

/** A pool of one process, as seen by whatever grants permits. Its properties are read whenever a decision is made. */
export interface Holder {
  /** How many permits it wants in total, including those that it holds. */
  readonly wanted: number
  /** It wants one more permit to reach `min_pool_size`, although no client waits. */
  readonly fillsMinimum: boolean
  /** Since when the first of its clients waits; Infinity if nobody waits. */
  readonly waitingSinceMs: number
  /** Decides its place among the holders that wait for a permit, where that is not `waitingSinceMs`. */
  readonly queuesSinceMs?: number
  /** When its least recently used idle server was last used; Infinity if none is idle. */
  readonly idleSinceMs: number
  /** It may open one more server. If it no longer needs one, it gives the permit back. */
  onGranted(usesReserve: boolean): void
  /**
   * It must give up one permit. It closes the server that has been idle longest, and gives the permit back once the connection has ended. If no
   * server is idle, it closes the next one that comes free while none of its own clients has waited for nearly as long.
   *
   * @param because the logged reason for closing the server
   * @param waitingSinceMs since when the client has waited for which the permit is recalled
   */
  onRecalled(because: string, waitingSinceMs: number): void
}

/** The permits of one pool, granted by this process alone or by the primary for all workers. The pool sees no difference. */
export interface Permits {
  /** How many of the pool's servers are needed for `min_pool_size`. These are not closed for being idle. */
  readonly floor: number
  /** What the pool wants may have changed. If it may have more, `Holder.onGranted` follows, at once or later. */
  ask(): void
  /** A server has come free. Returns the reason to close it, because its permit is needed elsewhere, or null. */
  mustYield(): string | null
  /** Gives a permit back: the connection of a closed server has ended, or the permit was not used. */
  giveBack(): void
  /**
   * The login to a server was refused, and the pool has no other server. `decided` receives whether the pool's clients have something to wait
   * for nonetheless: servers of the same pool in other processes.
   */
  refused(sqlstate: string, decided: (isSharedOut: boolean) => void): void
  /** The settings have changed, and with them the numbers of permits. */
  resized(): void
  /** The pool is over: it holds no server, and wants none. */
  close(): void
}
