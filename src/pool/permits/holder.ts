/** What a pool and whoever grants permits agree on. A permit is the right to hold one server connection, from dialling to its very end. */

/** A pool of one process, as seen by whoever grants permits. What it says is read whenever a decision is made. */
export interface Holder {
  /** How many permits it wants in all, those that it holds included. */
  readonly wanted: number
  /** It would take one more for the sake of `min_pool_size`, though nobody waits. */
  readonly fillsMinimum: boolean
  /** Since when the first of its clients waits; Infinity if nobody waits. */
  readonly waitingSinceMs: number
  /** The same for its place among those who wait for a permit, where that is not the age of its first client alone. */
  readonly queuesSinceMs?: number
  /** When its least recently used idle server was last used; Infinity if none is idle. */
  readonly idleSinceMs: number
  /** It may open one more server. If it has no use for it any more, it gives the permit back. */
  onGranted(usesReserve: boolean): void
  /**
   * It shall give one up: it closes the server that has been idle for longest, and gives the permit back once the connection is gone. If
   * none is idle, the next that comes free while none of its own clients has waited for nearly as long.
   *
   * @param because what the log says of the server
   * @param waitingSinceMs since when the client waits for whose sake it is
   */
  onRecalled(because: string, waitingSinceMs: number): void
}

/** The permits of one pool. Granted by this process alone, or by the primary for all workers: the pool sees no difference. */
export interface Permits {
  /** As many of the pool's servers are needed for `min_pool_size`: they are not closed for being idle. */
  readonly floor: number
  /** What the pool wants may have changed. `Holder.onGranted` follows, at once or later, if it may have more. */
  ask(): void
  /** A server has come free. It is to be closed if this says why: because its permit is needed elsewhere. */
  mustYield(): string | null
  /** The connection of a closed server is gone, or a permit was not used. */
  giveBack(): void
  /**
   * The login to a server was refused, and the pool has no other. `decided` is told whether its clients have something to wait for all the
   * same: servers of the same pool in other processes.
   */
  refused(sqlstate: string, decided: (isSharedOut: boolean) => void): void
  /** The settings have changed, and with them the numbers of permits. */
  resized(): void
  /** The pool is over: it holds no server, and wants none. */
  close(): void
}
