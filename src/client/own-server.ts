/** Gets a client the server that is its own from login to end. What the client asks for was set when that server was opened. */

import { Link } from '../base/list.ts'
import type { Waiter } from '../pool/lease.ts'
import type { Pool } from '../pool/pool.ts'
import { Profile } from '../server/profile.ts'
import type { Server } from '../server/server.ts'
import type { Notice } from '../wire/notices.ts'

export interface OwnServerListener {
  /** The server has been lent. Whoever takes it over must become its tenant at once. */
  onOwned(server: Server): void
  onUnfit(notice: Notice): void
}

export class OwnServer implements Waiter {
  readonly link = new Link<Waiter>()
  waitingSinceMs = 0
  wasNotified = false
  promised: Server | null = null
  /** No setting of the server is to be changed. */
  readonly wantedProfile = Profile.of([])
  readonly pool: Pool
  readonly #listener: OwnServerListener

  constructor(pool: Pool, listener: OwnServerListener) {
    this.pool = pool
    this.#listener = listener
  }

  start(): void {
    const server = this.pool.lease(this)
    if (server !== null) this.onGranted(server)
  }

  onGranted(server: Server): void {
    this.#listener.onOwned(server)
  }

  onRefused(notice: Notice): void {
    this.#listener.onUnfit(notice)
  }

  /** The client has left. */
  abandon(): void {
    this.pool.withdraw(this)
  }

  onServerGone(notice: Notice): void {
    this.#listener.onUnfit(notice)
  }

  onStillWaiting(): void {}

  onWelcomeKnown(): void {}

  onReplies(): void {}

  onServerDrained(): void {}

  onSweep(): void {}
}
