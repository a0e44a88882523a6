/** What whoever holds a server is told; implemented by sessions, and by queries of ours that take a lease. */

import type { Notice } from '../wire/notices.ts'

/** The session that holds the lease. */
export interface Tenant {
  /** Bytes from the server; valid until this returns. */
  onReplies(buffer: Buffer, start: number, end: number): void
  /** The server has taken all that was written to it. */
  onServerDrained(): void
  /** The server is gone, and the lease with it. `notice` is what the client should be told. */
  onServerGone(notice: Notice): void
  /** Called by the janitor: look at the deadlines of what runs. */
  onSweep(nowMs: number): void
}
