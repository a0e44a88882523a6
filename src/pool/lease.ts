/** The interface between a session and its pool: how a server is requested, granted and refused. */

import type { Linked } from '../base/list.ts'
import type { Profile } from '../server/profile.ts'
import type { Server } from '../server/server.ts'
import type { Tenant } from '../server/tenant.ts'
import type { Notice } from '../wire/notices.ts'

/** A session, as its pool sees it. It waits for one server at a time. */
export interface Waiter extends Tenant, Linked<Waiter> {
  /** The settings that the server must have; read when the lease is granted. */
  readonly wantedProfile: Profile
  /** When it began to wait. */
  waitingSinceMs: number
  /** Whether it has been notified that it waits (`query_wait_notify`). */
  wasNotified: boolean
  /** The server that is being prepared for it, or that it holds but has not been notified of yet; null if there is none. */
  promised: Server | null
  /** The lease begins now. */
  onGranted(server: Server): void
  /** There will be no lease. */
  onRefused(notice: Notice): void
  /** Called when it has waited for `query_wait_notify`. */
  onStillWaiting(): void
  /** Called while it waits, when another process has learned what servers of the pool report. */
  onWelcomeKnown(): void
}
