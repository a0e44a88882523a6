/** Closes servers of one pool that have lived (`server_lifetime`) or been idle (`server_idle_timeout`) for long enough, but not all at once. */

import type { Server } from '../server/server.ts'
import type { ServerLists } from './server-lists.ts'
import type { PoolSettings } from './settings.ts'

export class Lifetimes {
  readonly #servers: ServerLists
  #lastEndMs = -Infinity

  constructor(servers: ServerLists) {
    this.#servers = servers
  }

  /** Asked when a server comes free. A lifetime of 0 means: used once. */
  isOver(server: Server, nowMs: number, { lifetimeMs, size }: PoolSettings): boolean {
    if (lifetimeMs === 0) return true
    if (nowMs - server.startedMs < lifetimeMs) return false
    // Servers that were opened together must not all be closed together. Where there may be any number, how many there are counts.
    return nowMs - this.#lastEndMs >= lifetimeMs / (size || Math.max(this.#servers.total, 1))
  }

  /** Of one that is closed for its age. */
  end(server: Server, nowMs: number): void {
    this.#lastEndMs = nowMs
    server.close('server lifetime over')
  }

  /** @param floor how many the pool keeps though nobody uses them; their age counts nonetheless */
  sweepIdle(floor: number, nowMs: number, settings: PoolSettings): void {
    const { lifetimeMs, idleTimeoutMs } = settings
    const servers = this.#servers
    for (const server of servers.of.idle) {
      // One that is to be used once may not have been used yet.
      if (lifetimeMs > 0 && this.isOver(server, nowMs, settings)) this.end(server, nowMs)
      else if (idleTimeoutMs > 0 && nowMs - server.usedMs > idleTimeoutMs && servers.total > floor)
        server.close('server idle timeout')
    }
  }
}
