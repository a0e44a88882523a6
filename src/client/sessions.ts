/** All sessions of the process. */

import type { Session } from './session.ts'

export class Sessions {
  readonly #all = new Set<Session>()
  readonly #loggingIn = new Set<Session>()

  get count(): number {
    return this.#all.size
  }

  /** Connected, and not yet logged in. */
  get loggingIn(): number {
    return this.#loggingIn.size
  }

  add(session: Session): void {
    this.#all.add(session)
    this.#loggingIn.add(session)
  }

  loggedIn(session: Session): void {
    this.#loggingIn.delete(session)
  }

  remove(session: Session): void {
    this.#all.delete(session)
    this.#loggingIn.delete(session)
  }

  [Symbol.iterator](): Iterator<Session> {
    return this.#all.values()
  }

  /** Called by the janitor. Idle clients are looked at only where they may be idle for too long. */
  sweep(nowMs: number, hasIdleTimeouts: boolean): void {
    for (const session of hasIdleTimeouts ? this.#all : this.#loggingIn) session.onSweep(nowMs)
  }
}
