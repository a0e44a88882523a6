/** What all sessions share: handed to them at construction by whoever builds the pooler. */

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

/** Where a client that has proved who it is goes. */
export type Destination =
  | { readonly kind: 'pool'; readonly pool: Pool }
  | { readonly kind: 'console'; readonly parameters: ReadonlyMap<string, string>; open(session: Host): Handler }

/** The list of all sessions, as they see it. */
export interface Register {
  add(session: Host): void
  loggedIn(session: Host): void
  remove(session: Host): void
}

/** What a client is offered in answer to SSLRequest. */
export interface ClientEncryption extends ServerSide {
  /** Whoever does not take it is refused. */
  readonly isRequired: boolean
}

export interface ClientContext {
  readonly ids: Ids
  readonly clock: Clock
  readonly log: Log
  readonly sessions: Register
  /** Told to clients that have come to no pool. */
  readonly errors: ErrorCounts
  readonly cancelKeys: Pick<CancelKeys<Host>, 'create' | 'remove'>
  readonly cancels: CancelSender
  readonly tracked: Tracked
  settings(): ClientSettings
  /** Nobody is read for now who is in. */
  isSuspended(): boolean
  /** Meanwhile a client or a server has taken all that was said to it. */
  onTaken(): void
  /** null: clients are offered no TLS. */
  encryption(): ClientEncryption | null
  readonly handshakes: Turns
  /** `done` is told, at once or later, whether there is room for one more client. It is not called any more once the session is gone. */
  admit(session: Host, wishes: Wishes, done: (problem: PoolerError | null) => void): void
  /** `done` is told how the client has to prove who it is, or why it cannot; when, is as with `admit`. */
  authentication(session: Host, wishes: Wishes, done: (how: AuthenticationOptions | PoolerError) => void): void
  /** Throws if the database does not exist. `done` is told where the client goes, or why it is not taken; when, is as with `admit`. */
  destination(session: Host, wishes: Wishes, proof: Proof, done: (destination: Destination | PoolerError) => void): void
  /** Another pool, if the first one cannot do what its servers refuse; null if they are right. */
  otherDestination(session: Host, wishes: Wishes, refusal: Notice): Pool | null
  /** Cancels what the client with this key runs, wherever that client is. `over` is called once that can hit nothing any more. */
  cancel(pid: number, key: Buffer, over: () => void): void
  /** The client has not proved that it is who it says: `done` is told, at once or later, for how long the answer is to be held back. */
  onUnproved(session: Host, done: (delayMs: number) => void): void
  /** The session has been closed. */
  onGone(session: Host): void
}
