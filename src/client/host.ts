/** What a session offers to the code that serves its client: login, relay, console. */

import type { Clock } from '../base/clock.ts'
import type { StateRow } from '../base/state-rows.ts'
import type { Channel } from '../net/channel.ts'
import type { CancelSender } from '../server/cancel.ts'
import type { Notice } from '../wire/notices.ts'
import type { SessionState } from './states.ts'

/** Times are in milliseconds; 0 means never. */
export interface ClientSettings {
  readonly loginTimeoutMs: number
  idleTimeoutMs(user: string): number
  /** The shortest of all users' idle timeouts; Infinity if none has one. */
  readonly shortestIdleTimeoutMs: number
  readonly ignoredStartupParameters: ReadonlySet<string>
  readonly addsHostToApplicationName: boolean
  /** The text of the notice that each client gets after login; empty for none. */
  readonly loginNotice: string
  readonly logsConnections: boolean
  readonly logsDisconnections: boolean
  readonly logsErrors: boolean
  /** Queries that took at least this long are logged when they have been answered; Infinity for never. */
  readonly slowQueryMs: number
  /** The share of slow queries that is logged: 1 is all. */
  readonly slowQueryRate: number
  /** Slow queries are logged as they are, instead of without their values. */
  readonly showsQueryValues: boolean
}

export interface Host {
  readonly id: number
  readonly channel: Channel
  readonly clock: Clock
  readonly connectedMs: number
  readonly state: SessionState
  /** It has not ended, nor been told to end. */
  readonly isOpen: boolean
  /** How the session is named in the log. */
  readonly subject: string
  readonly settings: ClientSettings
  readonly cancels: CancelSender
  enter(next: StateRow<SessionState>): void
  /** The connection continues on another channel. */
  goOnBy(channel: Channel): void
  send(message: Buffer): void
  /** Reads what was held back. */
  goOn(): void
  /** Adds or removes a reason not to read from the client; it is read while there is no reason. */
  stopReading(why: 'server-full' | 'client-full', isOn: boolean): void
  /** While the outboxes are being filled, the end of the session is put off. */
  workBegins(): void
  workEnds(): void
  /** Tells the client why, and closes. */
  end(notice: Notice): void
  /** Closes without telling the client why, because it has received only a part of another message. */
  endMute(notice: Notice): void
  /** Closes without telling the client why: it wants to leave, or knows the reason. */
  leave(reason: string): void
  /** A query has been answered that took `slowQueryMs` or longer. */
  onSlowQuery(tookMs: number, text: string): void
  /** Ends the session because of a mistake of ours. Nothing that it held is used again. */
  onBroken(error: unknown): void
  /** A cancel request with this session's key has come: see `Handler.cancel`. */
  cancel(done: () => void): void
}
