/** All sessions of the process. */

import type { ClientSettings } from './host.ts'
import type { Session } from './session.ts'

/** How often idle clients are looked at, at most; or at a hundredth of the shortest idle timeout, if that is less. */
const LOOK_MS = 1_000

/** A login takes less than this over any network. A client that has kept us waiting for longer may be given up to make room for others. */
const LOGIN_PATIENCE_MS = 3_000

/** How many sessions are looked at to find one whose client keeps us waiting, rather than waits for us. */
const MAX_LOOKS = 100

export class Sessions {
  readonly #all = new Set<Session>()
  readonly #loggingIn = new Set<Session>()
  /** Before this time no client has been idle for too long. */
  #nextLookMs = 0
  /** The settings that `#nextLookMs` was computed from. */
  #settings: ClientSettings | null = null

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

  /** Returns the first session that is logging in and whose client keeps us waiting; null if none of these came long ago. */
  slowest(nowMs: number): Session | null {
    let looks = MAX_LOOKS
    // They are in the order in which they came.
    for (const session of this.#loggingIn) {
      if (nowMs - session.connectedMs < LOGIN_PATIENCE_MS || looks-- === 0) return null
      if (session.isAwaited) return session
    }
    return null
  }

  [Symbol.iterator](): Iterator<Session> {
    return this.#all.values()
  }

  /**
   * Called by the janitor. Thousands of sessions may be idle: they are looked at only when one of them may have been idle for too long.
   *
   * @param isUnread logged-in clients are not read, or were not until now, so that nobody counts as idle
   */
  sweep(nowMs: number, settings: ClientSettings, isUnread = false): void {
    for (const session of this.#loggingIn) session.onSweep(nowMs)
    if (isUnread) return
    if (settings !== this.#settings) this.#nextLookMs = 0
    this.#settings = settings
    const { shortestIdleTimeoutMs } = settings
    if (shortestIdleTimeoutMs === Infinity || nowMs < this.#nextLookMs) return
    // A client that is active now, or comes later, cannot have been idle for too long any sooner than this.
    let earliestMs = nowMs + shortestIdleTimeoutMs
    for (const session of this.#all) {
      session.onSweep(nowMs)
      if (session.idleUntilMs < earliestMs) earliestMs = session.idleUntilMs
    }
    this.#nextLookMs = Math.max(earliestMs, nowMs + Math.min(LOOK_MS, shortestIdleTimeoutMs / 100))
  }
}
