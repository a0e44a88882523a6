/** The settings that follow one client from server to server: what it asked for at login, and what it has set since. */

import type { Pool } from '../pool/pool.ts'
import { type Change, changesBetween, Profile } from '../server/profile.ts'
import type { Server } from '../server/server.ts'

export class FollowedSettings {
  /** The settings that the client expects to have. */
  profile: Profile
  readonly #pool: Pool
  /** What it asked for at login. */
  readonly #first: Profile
  /**
   * Values that are not ASCII, as they were reported since the last request was answered. They may have to be decoded again: if
   * client_encoding is changed, all that is reported in front of one ReadyForQuery is in the new encoding, even in front of that change.
   */
  #reportedRaw: Map<number, string> | null = null

  constructor(pool: Pool, profile: Profile) {
    this.#pool = pool
    this.#first = profile
    this.profile = profile
  }

  get hasWishes(): boolean {
    return this.wishes.length > 0
  }

  /** The settings that the client asked for at login and that are not the server's defaults anyway, in the order in which to set them. */
  get wishes(): readonly Change[] {
    const { welcome, options } = this.#pool
    const defaults = Profile.of(options.tracked.names.map((name) => welcome?.get(name) ?? null))
    return changesBetween(options.tracked, defaults, this.#first, false)
  }

  /** A setting has changed on the client's server. */
  onParameter(server: Server, name: string, value: string): void {
    const place = this.#pool.options.tracked.place(name)
    if (place < 0) return
    const understood = server.settings.noteParameter(place, value)
    this.profile = this.profile.withValue(place, understood)
    if (understood !== value) this.#noteRaw(place, value)
    else if (this.#reportedRaw !== null && name === 'client_encoding') this.#understandAgain(server)
  }

  #noteRaw(place: number, value: string): void {
    this.#reportedRaw ??= new Map()
    this.#reportedRaw.set(place, value)
  }

  #understandAgain(server: Server): void {
    for (const [place, value] of this.#reportedRaw ?? [])
      this.profile = this.profile.withValue(place, server.settings.noteParameter(place, value))
  }

  /** A request has been answered. */
  onReady(): void {
    this.#reportedRaw = null
  }

  /** The server has the settings again that the client asked for at login, except for those that the client has set itself since. */
  onRestored(server: Server): void {
    server.settings.restored(this.#first.extras)
    this.profile = server.profile
  }
}
