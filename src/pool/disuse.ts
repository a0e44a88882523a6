/** Decides when an unused pool is removed. Strangers choose the names of users and databases, so unused pools must not pile up. */

export class Disuse {
  /** Since when the pool has been unused; null while it is in use. */
  sinceMs: number | null = null

  /** Called by each sweep. A use between two sweeps does not count. */
  note(isInUse: boolean, nowMs: number): void {
    if (isInUse) this.sinceMs = null
    else this.sinceMs ??= nowMs
  }

  /**
   * Whether the pool can be removed, because a new one would serve as well.
   *
   * @param hasWorked whether a login to a server has ever worked; if not, the pool has nothing worth remembering
   * @param timeoutMs the setting `pool_idle_timeout`; 0 is never
   */
  isLongEnough(hasWorked: boolean, timeoutMs: number, nowMs: number): boolean {
    if (this.sinceMs === null) return false
    return !hasWorked || (timeoutMs > 0 && nowMs - this.sinceMs >= timeoutMs)
  }
}
