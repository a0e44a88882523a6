/** The sessions that wait for a server of one pool, in the order in which they came. */

import { List } from '../base/list.ts'
import { PoolerError } from '../problems.ts'
import type { Notice } from '../wire/notices.ts'
import type { Waiter } from './lease.ts'
import type { PoolSettings } from './settings.ts'

export class Waiting extends List<Waiter> {
  constructor() {
    super('waiting')
  }

  /** Since when the first session in the queue waits; Infinity if there is none. */
  get sinceMs(): number {
    return this.first?.waitingSinceMs ?? Infinity
  }

  /** Returns a waiter that was about to get a server to its former place: in front of all that came later, behind those that came before it. */
  putBack(waiter: Waiter): void {
    const earlier: Waiter[] = []
    for (const other of this) {
      if (other.waitingSinceMs >= waiter.waitingSinceMs) break
      earlier.unshift(other)
      this.remove(other)
    }
    this.pushFirst(waiter)
    for (const other of earlier) this.pushFirst(other)
  }

  refuseAll(notice: Notice): void {
    for (let waiter = this.first; waiter; waiter = this.first) {
      this.remove(waiter)
      waiter.onRefused(notice)
    }
  }

  /**
   * Refuses waiters that have waited for more than `waitTimeoutMs`, and notifies those that have waited for more than `waitNotifyMs`.
   *
   * @param onTimedOut gets how long a refused waiter has waited
   */
  sweep(nowMs: number, { waitTimeoutMs, waitNotifyMs }: PoolSettings, onTimedOut: (waitedMs: number) => void): void {
    for (const waiter of this) {
      const waitedMs = nowMs - waiter.waitingSinceMs
      if (waitTimeoutMs > 0 && waitedMs > waitTimeoutMs) {
        this.remove(waiter)
        onTimedOut(waitedMs)
        waiter.onRefused(new PoolerError('query-wait-timeout'))
      } else if (waitNotifyMs > 0 && waitedMs > waitNotifyMs) {
        if (!waiter.wasNotified) waiter.onStillWaiting()
        waiter.wasNotified = true
      } else return
    }
  }
}
