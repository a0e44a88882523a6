/** What a session and its pool agree on: how a server is asked for, granted and refused. */

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
  /** It has been told that it waits (`query_wait_notify`). */
  wasNotified: boolean
  /** The server being prepared for it, once there is one. */
  promised: Server | null
  /** The lease begins now. */
  onGranted(server: Server): void
  /** There will be no lease. */
  onRefused(notice: Notice): void
  /** It has waited for `query_wait_notify`. */
  onStillWaiting(): void
  /** While it waits, another process has learned what servers of the pool report. */
  onWelcomeKnown(): void
}
