/** What a session offers to whatever serves its client: the way in, the relay, the console. */

import type { Clock } from '../base/clock.ts'
import type { StateRow } from '../base/state-rows.ts'
import type { Channel } from '../net/channel.ts'
import type { CancelSender } from '../server/cancel.ts'
import type { Notice } from '../wire/notices.ts'
import type { SessionState } from './states.ts'

/** Times in milliseconds, 0 for never. */
export interface ClientSettings {
  readonly loginTimeoutMs: number
  idleTimeoutMs(user: string): number
  /** Of all users'; Infinity if nobody can be idle for too long. */
  readonly shortestIdleTimeoutMs: number
  readonly ignoredStartupParameters: ReadonlySet<string>
  readonly addsHostToApplicationName: boolean
  /** What each client is told when it has logged in; empty for nothing. */
  readonly loginNotice: string
  readonly logsConnections: boolean
  readonly logsDisconnections: boolean
  readonly logsErrors: boolean
  /** From when on a query is logged that has been answered; Infinity for never. */
  readonly slowQueryMs: number
  /** Of those, how many are logged: 1 is all. */
  readonly slowQueryRate: number
  /** They are logged as they are, not without their values. */
  readonly showsQueryValues: boolean
}

export interface Host {
  readonly id: number
  readonly channel: Channel
  readonly clock: Clock
  readonly connectedMs: number
  readonly state: SessionState
  /** It has not ended, nor been told to. */
  readonly isOpen: boolean
  /** How it is named in the log. */
  readonly subject: string
  readonly settings: ClientSettings
  readonly cancels: CancelSender
  enter(next: StateRow<SessionState>): void
  /** The connection goes on by another channel. */
  goOnBy(channel: Channel): void
  send(message: Buffer): void
  /** What was held back can be read now. */
  goOn(): void
  /** Stops reading for a reason, or takes the reason back; reads while there is none. */
  stopReading(why: 'server-full' | 'client-full', isOn: boolean): void
  /** While the outboxes are being filled, an end is put off. */
  workBegins(): void
  workEnds(): void
  /** Tells the client why, and closes. */
  end(notice: Notice): void
  /** Closes without a word, because the client is in the midst of another message. */
  endMute(notice: Notice): void
  /** Closes: the client wants it so, or knows why. */
  leave(reason: string): void
  /** A query has been answered that took long. */
  onSlowQuery(tookMs: number, text: string): void
  /** A mistake of ours: the session ends, and nothing that it held is used again. */
  onBroken(error: unknown): void
  /** A cancel request with its key has come: see `Handler.cancel`. */
  cancel(done: () => void): void
}
