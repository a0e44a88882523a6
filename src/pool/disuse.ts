/** Decides when a pool is forgotten that nobody uses: strangers choose the names of users and databases. */

export class Disuse {
  /** Since when it has had neither clients nor servers; null while it has. */
  sinceMs: number | null = null

  /** Told by each sweep: a use that none of them has seen does not count. */
  note(isInUse: boolean, nowMs: number): void {
    if (isInUse) this.sinceMs = null
    else this.sinceMs ??= nowMs
  }

  /**
   * It is of no more use than a new one would be.
   *
   * @param hasWorked where no login ever has, there is nothing to remember
   * @param timeoutMs the setting `pool_idle_timeout`; 0 is never
   */
  isLongEnough(hasWorked: boolean, timeoutMs: number, nowMs: number): boolean {
    if (this.sinceMs === null) return false
    return !hasWorked || (timeoutMs > 0 && nowMs - this.sinceMs >= timeoutMs)
  }
}
