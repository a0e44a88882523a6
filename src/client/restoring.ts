/**
 * Puts back the settings that a client asked for at login after it has reset settings. On a direct connection a reset goes back to those
 * by itself; on a server it goes back to the server's own defaults, since the client's settings were set on it only later.
 */

import { invariant } from '../base/invariant.ts'
import type { Ledger } from '../server/ledger.ts'
import { restoringSql } from '../server/profile.ts'
import type { Server } from '../server/server.ts'
import type { Tenant } from '../server/tenant.ts'
import { STATUS_IDLE } from '../wire/backend.ts'
import type { Notice } from '../wire/notices.ts'
import type { FollowedSettings } from './followed-settings.ts'

/** How often restoring is tried if a cancel or a timeout that was meant for the client's own requests may have hit it. */
const MAX_TRIES = 3

type RestoringState = 'none' | 'expected' | 'seen' | 'noticed' | 'due' | 'running' | 'abandoned'

const MOVES: Record<RestoringState, readonly RestoringState[]> = {
  none: ['expected', 'noticed'],
  /** A request has been sent whose text looks as if it resets settings. The client's next messages are held back until it is answered. */
  expected: ['none', 'seen'],
  /** That request has reset or set some. */
  seen: ['noticed', 'due'],
  /** Settings have been reset; the server is still busy, or within a transaction. */
  noticed: ['due'],
  /** Nothing of the client's is under way. From here on its messages are held back. */
  due: ['running'],
  running: ['none', 'due', 'abandoned'],
  /** The client has left while it was running. */
  abandoned: ['none'],
}

/** The relay that holds the server. */
export interface RestoringListener extends Tenant {
  /** Passes a message of the server's on to the client, which is being sent nothing else at that time. */
  tell(buffer: Buffer, start: number, end: number): void
  /** The client has its settings back: it can be told that its request is done. */
  onRestored(server: Server): void
  /** Restoring is over, and the client has left meanwhile. */
  onAbandoned(server: Server): void
  /** Postgres does not accept the settings any more. */
  onNotRestored(notice: Notice): void
}

export class Restoring {
  #state: RestoringState = 'none'
  #tries = 0
  readonly #settings: FollowedSettings
  readonly #listener: RestoringListener

  constructor(settings: FollowedSettings, listener: RestoringListener) {
    this.#settings = settings
    this.#listener = listener
  }

  /** The ReadyForQuery is withheld until the client has its settings back, so that it notices nothing of all this. */
  get withholdsReady(): boolean {
    return this.#state === 'seen' || this.#state === 'noticed'
  }

  get isDue(): boolean {
    return this.#state === 'due'
  }

  /** The server must not be given back now. */
  get keepsServer(): boolean {
    return this.#awaitsAnswer || this.isDue || this.#state === 'running'
  }

  /** The client's messages have to wait; unless the server waits for them: for COPY data, or for the Sync after a failure. */
  holdsClient({ awaitsReady, copy }: Pick<Ledger, 'awaitsReady' | 'copy'>): boolean {
    if (this.#awaitsAnswer) return awaitsReady && (copy === 'none' || copy === 'ended')
    return this.isDue || this.#state === 'running'
  }

  /** The request that may reset settings is not answered yet. */
  get #awaitsAnswer(): boolean {
    return this.#state === 'expected' || this.#state === 'seen'
  }

  /** The request that was sent last may reset settings. */
  expect(): void {
    if (this.#state === 'none') this.#enter('expected')
  }

  /** SET has run. SET x TO DEFAULT is a reset, but its tag does not say so. */
  onSet(): void {
    if (this.#state === 'expected') this.#enter('seen')
  }

  /** RESET or DISCARD ALL has run. */
  onReset(): void {
    if (this.#state === 'none') this.#enter('noticed')
    else this.onSet()
  }

  /** A request has been answered. Returns whether the client may be told so now; if not, it is told when its settings are back. */
  onReady(server: Server, status: number): boolean {
    if (this.#state === 'expected') {
      if (server.ledger.isEmpty) this.#enter('none')
    } else if (this.withholdsReady) {
      if (status === STATUS_IDLE && server.ledger.isEmpty) this.#enter('due')
      else if (this.#state === 'seen' && server.ledger.isEmpty) this.#enter('noticed')
    }
    return !this.isDue
  }

  /** Restores the settings on the server, which is clean. */
  start(server: Server): void {
    this.#enter('running')
    this.#tries++
    server.restore(restoringSql(this.#settings.wishes), {
      // Reported settings, notices and notifications: all of them are for the client.
      heard: (buffer, start, end) => {
        if (this.#state === 'running') this.#listener.tell(buffer, start, end)
      },
      done: (error) => this.#done(server, error),
      gone: (notice) => {
        if (this.#state === 'running') this.#listener.onServerGone(notice)
      },
    })
  }

  /** The client has left. Returns whether restoring still runs on its server, which is then given back afterwards. */
  abandon(): boolean {
    if (this.#state !== 'running') return false
    this.#enter('abandoned')
    return true
  }

  #done(server: Server, error: Notice | null): void {
    server.lend(this.#listener)
    // The server has the settings, whether or not the client is still there.
    if (error === null) this.#settings.onRestored(server)
    if (this.#state === 'abandoned') {
      this.#enter('none')
      this.#listener.onAbandoned(server)
    } else if (error === null) {
      this.#enter('none')
      this.#tries = 0
      this.#listener.onRestored(server)
    } else if (error.sqlstate === '57014' && this.#tries < MAX_TRIES) {
      this.#enter('due')
      this.start(server)
    } else {
      this.#enter('none')
      this.#listener.onNotRestored(error)
    }
  }

  #enter(next: RestoringState): void {
    invariant(MOVES[this.#state].includes(next), `settings that are ${this.#state} to be restored cannot be ${next}`)
    this.#state = next
  }
}
