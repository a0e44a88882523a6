/** Limits that several pools share (`max_db_connections`, `max_user_connections`), and those on clients. */

import { invariant } from '../base/invariant.ts'

/** A pool that may hold servers under a limit. */
export interface Member {
  /** When its first waiting client began to wait; Infinity if nobody waits. */
  readonly oldestWaitSinceMs: number
  /** When its least recently used idle server was last used; Infinity if none is idle. */
  readonly oldestIdleSinceMs: number
  /** Closes that server. */
  evict(): void
  /** There is room now: go on opening servers. */
  onRoom(): void
}

export class Limit {
  readonly name: string
  /** 0 is unlimited. */
  max: number
  used = 0
  readonly #members = new Set<Member>()
  /** Pools that wait for room, in the order in which they began to. */
  readonly #blocked = new Set<Member>()

  constructor(name: string, max: number) {
    this.name = name
    this.max = max
  }

  get isFull(): boolean {
    return this.max > 0 && this.used >= this.max
  }

  join(member: Member): void {
    this.#members.add(member)
  }

  leave(member: Member): void {
    this.#members.delete(member)
    this.#blocked.delete(member)
  }

  claim(): void {
    invariant(!this.isFull, `${this.name} is claimed beyond its limit`)
    this.used++
  }

  release(): void {
    invariant(this.used > 0, `${this.name} is released more often than claimed`)
    this.used--
    if (this.#blocked.size > 0) this.#admit()
  }

  /** Takes an idle server from another pool, the one that has been idle for longest; false if none is idle. */
  makeRoom(asking: Member): boolean {
    let oldest: Member | null = null
    for (const member of this.#members) {
      if (member === asking || member.oldestIdleSinceMs === Infinity) continue
      if (!oldest || member.oldestIdleSinceMs < oldest.oldestIdleSinceMs) oldest = member
    }
    oldest?.evict()
    return oldest !== null
  }

  /** `member` could use a server but for this limit: it will be told when there is room. */
  block(member: Member): void {
    this.#blocked.add(member)
  }

  /** Since when the longest waiting client waits among the pools that this limit holds up; Infinity if it holds up none. */
  blockedSinceMs(except: Member): number {
    let since = Infinity
    for (const member of this.#blocked) if (member !== except) since = Math.min(since, member.oldestWaitSinceMs)
    return since
  }

  #admit(): void {
    // Whoever finds no use for the room leaves it to the next; whoever is held up again queues up at the end.
    for (const next of [...this.#blocked]) {
      if (this.isFull) return
      if (this.#blocked.delete(next)) next.onRoom()
    }
  }
}
