/** All sessions of the process. */

import type { ClientSettings } from './host.ts'
import type { Session } from './session.ts'

/** Idle clients are looked at no more often, and where they may be idle for a short time only, at a hundredth of that. */
const LOOK_MS = 1_000

/** A login takes less, over any network: whoever has kept us waiting for longer may be given up for others. */
const LOGIN_PATIENCE_MS = 3_000

/** How many are looked at for one that keeps us waiting, and not the other way round. */
const MAX_LOOKS = 100

export class Sessions {
  readonly #all = new Set<Session>()
  readonly #loggingIn = new Set<Session>()
  /** No client is idle for too long before. */
  #nextLookMs = 0
  /** What held when that was found out. */
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

  /** Of those that log in, and whose client it is that is waited for, the one that came first; null if none of them came long ago. */
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
   * Called by the janitor. There may be thousands that are idle: they are looked at only once one of them may be so for too long.
   *
   * @param isUnread nobody is read who is in, or was until now, and so nobody can be idle
   */
  sweep(nowMs: number, settings: ClientSettings, isUnread = false): void {
    for (const session of this.#loggingIn) session.onSweep(nowMs)
    if (isUnread) return
    if (settings !== this.#settings) this.#nextLookMs = 0
    this.#settings = settings
    const { shortestIdleTimeoutMs } = settings
    if (shortestIdleTimeoutMs === Infinity || nowMs < this.#nextLookMs) return
    // Whoever is active now, or comes later, will not have been idle for too long any sooner.
    let earliestMs = nowMs + shortestIdleTimeoutMs
    for (const session of this.#all) {
      session.onSweep(nowMs)
      if (session.idleUntilMs < earliestMs) earliestMs = session.idleUntilMs
    }
    this.#nextLookMs = Math.max(earliestMs, nowMs + Math.min(LOOK_MS, shortestIdleTimeoutMs / 100))
  }
}
