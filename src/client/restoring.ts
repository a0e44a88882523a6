/**
 * Puts back what a client asked for at login after it has reset settings. A direct connection goes back to that by itself; a server
 * goes back to its own defaults, since what a client asks for is set on it later.
 */

import { invariant } from '../base/invariant.ts'
import type { Ledger } from '../server/ledger.ts'
import { restoringSql } from '../server/profile.ts'
import type { Server } from '../server/server.ts'
import type { Tenant } from '../server/tenant.ts'
import { STATUS_IDLE } from '../wire/backend.ts'
import type { Notice } from '../wire/notices.ts'
import type { FollowedSettings } from './followed-settings.ts'

/** How often it is tried, where what was meant for the client's own requests (a cancel, a timeout) may have hit it. */
const MAX_TRIES = 3

type RestoringState = 'none' | 'expected' | 'seen' | 'noticed' | 'due' | 'running' | 'abandoned'

const MOVES: Record<RestoringState, readonly RestoringState[]> = {
  none: ['expected', 'noticed'],
  /** A request has been sent whose text looks as if it resets settings. What comes behind it is held back until it is answered. */
  expected: ['none', 'seen'],
  /** It has reset or set some. */
  seen: ['noticed', 'due'],
  /** Settings have been reset; the server is still busy, or within a transaction. */
  noticed: ['due'],
  /** Nothing of the client's is under way. What it sends is held back from here. */
  due: ['running'],
  running: ['none', 'due', 'abandoned'],
  /** The client has gone meanwhile. */
  abandoned: ['none'],
}

/** Whoever holds the server. */
export interface RestoringListener extends Tenant {
  /** What the client is to be told; nothing else is being said to it. */
  tell(buffer: Buffer, start: number, end: number): void
  /** The client has its settings, and is to be told that its request is done. */
  onRestored(server: Server): void
  /** The client has gone meanwhile. */
  onAbandoned(server: Server): void
  /** Postgres does not take them any more. */
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

  /** The client is told that a request is done when it has its settings back, so that it sees nothing of all this. */
  get withholdsReady(): boolean {
    return this.#state === 'seen' || this.#state === 'noticed'
  }

  get isDue(): boolean {
    return this.#state === 'due'
  }

  /** The server is not to be given back. */
  get keepsServer(): boolean {
    return this.#awaitsAnswer || this.isDue || this.#state === 'running'
  }

  /** What the client sends has to wait; unless the server waits for it: for the data of a COPY, or the Sync behind a failure. */
  holdsClient({ awaitsReady, copy }: Pick<Ledger, 'awaitsReady' | 'copy'>): boolean {
    if (this.#awaitsAnswer) return awaitsReady && (copy === 'none' || copy === 'ended')
    return this.isDue || this.#state === 'running'
  }

  /** To what may reset settings. */
  get #awaitsAnswer(): boolean {
    return this.#state === 'expected' || this.#state === 'seen'
  }

  /** The last request that was sent may reset settings. */
  expect(): void {
    if (this.#state === 'none') this.#enter('expected')
  }

  /** SET has run. SET x TO DEFAULT is a reset, but only its text tells. */
  onSet(): void {
    if (this.#state === 'expected') this.#enter('seen')
  }

  /** RESET or DISCARD ALL has run. */
  onReset(): void {
    if (this.#state === 'none') this.#enter('noticed')
    else this.onSet()
  }

  /** A request has been answered. Returns whether the client may be told so, and not only when its settings are back. */
  onReady(server: Server, status: number): boolean {
    if (this.#state === 'expected') {
      if (server.ledger.isEmpty) this.#enter('none')
    } else if (this.withholdsReady) {
      if (status === STATUS_IDLE && server.ledger.isEmpty) this.#enter('due')
      else if (this.#state === 'seen' && server.ledger.isEmpty) this.#enter('noticed')
    }
    return !this.isDue
  }

  /** The server is clean. */
  start(server: Server): void {
    this.#enter('running')
    this.#tries++
    server.restore(restoringSql(this.#settings.wishes), {
      // Settings that are reported, notices and notifications: all that is said now is the client's.
      heard: (buffer, start, end) => {
        if (this.#state === 'running') this.#listener.tell(buffer, start, end)
      },
      done: (error) => this.#done(server, error),
      gone: (notice) => {
        if (this.#state === 'running') this.#listener.onServerGone(notice)
      },
    })
  }

  /** The client is gone. Returns whether its server is busy here, and given back afterwards. */
  abandon(): boolean {
    if (this.#state !== 'running') return false
    this.#enter('abandoned')
    return true
  }

  #done(server: Server, error: Notice | null): void {
    server.lend(this.#listener)
    // Whether or not the client is still there, the server has them.
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
