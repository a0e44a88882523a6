/** The settings that follow one client from server to server: what it asked for at login, and what it has set since. */

import type { Pool } from '../pool/pool.ts'
import type { Profile } from '../server/profile.ts'
import type { Server } from '../server/server.ts'
import { encodeParameterStatus } from '../wire/backend.ts'

export class FollowedSettings {
  /** What the client means its settings to be. */
  profile: Profile
  /** What it asked for at login. */
  readonly first: Profile
  readonly #pool: Pool
  /** The client has reset settings: what is reported next are the server's defaults, where it means what it began with. */
  #resets = false
  /**
   * What was reported since the last request was answered in letters that are not ASCII. Whether a change of encoding was reported
   * before or behind that, what comes in front of one ReadyForQuery is all in the new one.
   */
  #reportedRaw: Map<number, string> | null = null

  constructor(pool: Pool, profile: Profile) {
    this.#pool = pool
    this.profile = profile
    this.first = profile
  }

  /** A setting has changed on the client's server. Returns what the client is told of it in place of the server's message, or null. */
  onParameter(server: Server, name: string, value: string): Buffer | null {
    const place = this.#pool.options.tracked.place(name)
    if (place < 0) return null
    const understood = server.noteParameter(place, value)
    const isReset = this.#resets && understood === this.#pool.welcome?.get(name)
    const first = isReset ? (this.first.values[place] ?? null) : null
    this.profile = this.profile.withValue(place, first ?? understood)
    if (understood !== value && first === null) this.#noteRaw(place, value)
    else if (this.#reportedRaw !== null && name === 'client_encoding') this.#understandAgain(server)
    // A client that resets a setting gets back what it asked for at login; the next lease sees to that.
    return first === null ? null : this.#told(name, first)
  }

  #noteRaw(place: number, value: string): void {
    this.#reportedRaw ??= new Map()
    this.#reportedRaw.set(place, value)
  }

  #understandAgain(server: Server): void {
    for (const [place, value] of this.#reportedRaw ?? [])
      this.profile = this.profile.withValue(place, server.noteParameter(place, value))
  }

  #told(name: string, value: string): Buffer | null {
    const encoding = this.profile.values[this.#pool.options.tracked.place('client_encoding')] ?? 'UTF8'
    return encodeParameterStatus(name, value, encoding)
  }

  /** RESET or DISCARD ALL has run, and the next lease gives back what the client asked for at login. Returns what it is told. */
  onReset(tag: string): readonly Buffer[] {
    this.#resets = true
    return tag === 'DISCARD ALL' ? this.#backToFirst() : []
  }

  /** A request has been answered. */
  onReady(): void {
    this.#resets = false
    this.#reportedRaw = null
  }

  /** All settings are what the client asked for at login; what is that already on the server is not reported by it. */
  #backToFirst(): Buffer[] {
    const before = this.profile
    this.profile = this.first
    const told: Buffer[] = []
    this.#pool.options.tracked.names.forEach((name, place) => {
      const first = this.profile.values[place] ?? null
      if (first === null || first === before.values[place]) return
      const message = this.#told(name, first)
      if (message !== null) told.push(message)
    })
    return told
  }
}
