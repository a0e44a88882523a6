/** One database as clients name it: its settings, what the operator has done to it, and what decides when it can be forgotten. */

import type { DatabaseSettings } from '../settings/databases.ts'

export interface DatabaseBeginnings {
  readonly settings: DatabaseSettings
  readonly isEstablished: boolean
  readonly fingerprint: string
  readonly turn: number
  readonly nowMs: number
}

export class Database {
  readonly name: string
  settings: DatabaseSettings
  /** See `ServerEncryption`; empty if the servers use no TLS. */
  fingerprint: string
  /** Accepts no new clients (DISABLE). */
  isDisabled = false
  /** PAUSE named this database. Independent of a PAUSE of all databases. */
  isPaused = false
  /** The database is in the settings, or a client has logged in to it. False if an unauthenticated client may have made up the name. */
  isEstablished: boolean
  /** The host that the next pool begins with. Many pools have only one or two servers; without this, all of them would be on the first host. */
  turn: number
  /** At least one server has logged in. */
  #hasWorked = false
  /** When its last pool went away, or when it was created. */
  #unusedSinceMs: number

  constructor(name: string, { settings, isEstablished, fingerprint, turn, nowMs }: DatabaseBeginnings) {
    this.name = name
    this.settings = settings
    this.isEstablished = isEstablished
    this.fingerprint = fingerprint
    this.turn = turn
    this.#unusedSinceMs = nowMs
  }

  get forcedUser(): string | null {
    return this.settings.user
  }

  /**
   * Called when a pool goes away, in case it is the last.
   *
   * @param hasWorked whether a server of the pool has ever logged in
   * @param unusedSinceMs since when the pool has not been used
   */
  poolGone(hasWorked: boolean, unusedSinceMs: number): void {
    this.#hasWorked ||= hasWorked
    this.#unusedSinceMs = Math.max(this.#unusedSinceMs, unusedSinceMs)
  }

  /**
   * Whether a database of the entry `*` that has no pools can be forgotten: unused for long enough, or no server has ever logged in to it.
   *
   * @param timeoutMs the setting `autodb_idle_timeout`; 0 is never
   */
  isForgettable(timeoutMs: number, nowMs: number): boolean {
    if (this.isPaused || this.isDisabled) return false
    return !this.#hasWorked || (timeoutMs > 0 && nowMs - this.#unusedSinceMs >= timeoutMs)
  }
}
