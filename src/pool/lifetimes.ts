/** Decides which servers of one pool have lived for long enough (`server_lifetime`), so that they are not all closed at once. */

import type { Server } from '../server/server.ts'
import type { PoolSettings } from './settings.ts'

export class Lifetimes {
  #lastEndMs = -Infinity

  /** One of them is being closed for its age. */
  noteEnd(nowMs: number): void {
    this.#lastEndMs = nowMs
  }

  /** Asked when a server comes free. A lifetime of 0 means: used once. */
  isOver(server: Server, nowMs: number, { lifetimeMs, size }: PoolSettings): boolean {
    if (lifetimeMs === 0) return true
    if (nowMs - server.startedMs < lifetimeMs) return false
    // Servers that were opened together must not all be closed together.
    return nowMs - this.#lastEndMs >= lifetimeMs / Math.max(size, 1)
  }

  /** Asked for one that is idle: it may not have been used yet. */
  isOverIdle(server: Server, nowMs: number, settings: PoolSettings): boolean {
    return settings.lifetimeMs > 0 && this.isOver(server, nowMs, settings)
  }
}
