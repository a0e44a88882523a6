/** The notifications that the holder of a server receives; implemented by sessions, and by our own queries that take a lease. */

import type { Notice } from '../wire/notices.ts'

/** The holder of a lease. */
export interface Tenant {
  /** Bytes from the server; valid until this returns. */
  onReplies(buffer: Buffer, start: number, end: number): void
  /** The server has taken everything that was written to it. */
  onServerDrained(): void
  /** The server is gone, and the lease with it. `notice` is meant for the client. */
  onServerGone(notice: Notice): void
  /** Called by the janitor to check the deadlines of what is running. */
  onSweep(nowMs: number): void
}
