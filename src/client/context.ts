/** What all sessions share. They receive it at construction from the code that builds the pooler. */

import type { Clock } from '../base/clock.ts'
import type { Ids } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import type { ServerSide } from '../net/tls.ts'
import type { ErrorCounts } from '../pool/error-counts.ts'
import type { Pool } from '../pool/pool.ts'
import type { PoolerError } from '../problems.ts'
import type { CancelSender } from '../server/cancel.ts'
import type { Tracked } from '../server/profile.ts'
import type { Notice } from '../wire/notices.ts'
import type { AuthenticationOptions, Proof } from './authentication.ts'
import type { CancelKeys } from './cancel-keys.ts'
import type { Handler } from './handler.ts'
import type { ClientSettings, Host } from './host.ts'
import type { Wishes } from './startup-parameters.ts'
import type { Turns } from './turns.ts'

/** Where an authenticated client goes. */
export type Destination =
  | { readonly kind: 'pool'; readonly pool: Pool }
  | { readonly kind: 'console'; readonly parameters: ReadonlyMap<string, string>; open(session: Host): Handler }

/** The list of all sessions, as a session sees it. */
export interface Register {
  add(session: Host): void
  loggedIn(session: Host): void
  remove(session: Host): void
}

/** What a client is offered in answer to SSLRequest. */
export interface ClientEncryption extends ServerSide {
  /** Clients without TLS are refused. */
  readonly isRequired: boolean
}

export interface ClientContext {
  readonly ids: Ids
  readonly clock: Clock
  readonly log: Log
  readonly sessions: Register
  /** Counts the errors sent to clients that have no pool. */
  readonly errors: ErrorCounts
  readonly cancelKeys: Pick<CancelKeys<Host>, 'create' | 'remove'>
  readonly cancels: CancelSender
  readonly tracked: Tracked
  settings(): ClientSettings
  /** SUSPEND is in effect: logged-in clients are not read. */
  isSuspended(): boolean
  /** During SUSPEND: a client or a server has taken all that was written to it. */
  onTaken(): void
  /** null: clients are not offered TLS. */
  encryption(): ClientEncryption | null
  readonly handshakes: Turns
  /**
   * Asks whether there is room for one more client. Calls `done`, at once or later, with null or the reason why not; not any more once the
   * session is gone.
   */
  admit(session: Host, wishes: Wishes, done: (problem: PoolerError | null) => void): void
  /** Calls `done`, at once or later as `admit` does, with how the client has to authenticate, or with the reason why it cannot. */
  authentication(session: Host, wishes: Wishes, done: (how: AuthenticationOptions | PoolerError) => void): void
  /** Calls `done` as `admit` does, with where the client goes, or with the reason why it is refused. Throws if the database does not exist. */
  destination(session: Host, wishes: Wishes, proof: Proof, done: (destination: Destination | PoolerError) => void): void
  /**
   * Returns the pool to try after this refusal: its servers are opened with the setting that the first pool's servers refuse to change.
   * Null if the refusal stands.
   */
  otherDestination(session: Host, wishes: Wishes, refusal: Notice): Pool | null
  /** Cancels what the client with this key runs, in whichever process it is. Calls `over` once that can hit nothing any more. */
  cancel(pid: number, key: Buffer, over: () => void): void
  /** The client has failed to authenticate. Calls `done`, at once or later, with how long to hold back the answer. */
  onUnproved(session: Host, done: (delayMs: number) => void): void
  /** The session has been closed. */
  onGone(session: Host): void
}
