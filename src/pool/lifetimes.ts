/** Closes servers of one pool that exceed `server_lifetime` or `server_idle_timeout`, but not all at once. */

import type { Server } from '../server/server.ts'
import type { ServerLists } from './server-lists.ts'
import type { PoolSettings } from './settings.ts'

export class Lifetimes {
  readonly #servers: ServerLists
  #lastEndMs = -Infinity

  constructor(servers: ServerLists) {
    this.#servers = servers
  }

  /** Returns whether a free server must be closed for its age. With a lifetime of 0, each server is used once. */
  isOver(server: Server, nowMs: number, { lifetimeMs, size }: PoolSettings): boolean {
    if (lifetimeMs === 0) return true
    if (nowMs - server.startedMs < lifetimeMs) return false
    // Servers that were opened together must not all be closed together, so two closings are at least a `size`th of the lifetime apart. If `size` is
    // unlimited, the present number of servers counts.
    return nowMs - this.#lastEndMs >= lifetimeMs / (size || Math.max(this.#servers.total, 1))
  }

  /** Closes a server for its age. */
  end(server: Server, nowMs: number): void {
    this.#lastEndMs = nowMs
    server.close('server lifetime over')
  }

  /** @param floor how many servers the pool keeps although they are idle; their age counts nonetheless */
  sweepIdle(floor: number, nowMs: number, settings: PoolSettings): void {
    const { lifetimeMs, idleTimeoutMs } = settings
    const servers = this.#servers
    for (const server of servers.of.idle) {
      // With a lifetime of 0, an idle server may not have had its one use yet.
      if (lifetimeMs > 0 && this.isOver(server, nowMs, settings)) this.end(server, nowMs)
      else if (idleTimeoutMs > 0 && nowMs - server.usedMs > idleTimeoutMs && servers.total > floor)
        server.close('server idle timeout')
    }
  }
}
