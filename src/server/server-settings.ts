/** The settings of one connection to Postgres, as far as they are known, and the changes that the next client needs. */

import { understand } from '../wire/reported-text.ts'
import { type Change, changesBetween, Profile, type Tracked } from './profile.ts'

export class ServerSettings {
  #profile: Profile = Profile.of([])
  /** A command may have changed settings that are not reported. */
  #hasDoubtfulExtras = false
  readonly #tracked: Tracked

  constructor(tracked: Tracked) {
    this.#tracked = tracked
  }

  get profile(): Profile {
    return this.#profile
  }

  /** The server has logged in and has reported these settings. */
  begin(reported: ReadonlyMap<string, string>): void {
    this.#profile = Profile.of(this.#tracked.names.map((name) => reported.get(name) ?? null))
  }

  /** Returns the changes that lead to the wanted settings; null if there are none to make. */
  changesTo(wanted: Profile): Change[] | null {
    if (this.#profile === wanted && !this.#hasDoubtfulExtras) return null
    const changes = changesBetween(this.#tracked, this.#profile, wanted, this.#hasDoubtfulExtras)
    if (changes.length > 0) return changes
    this.#profile = wanted.orElse(this.#profile)
    this.#hasDoubtfulExtras = false
    return null
  }

  /** The changes have been made, and `row` holds the new values. Returns the values as Postgres writes them, by name. */
  changed(changes: readonly Change[], row: readonly (string | null)[]): ReadonlyMap<string, string> {
    const values = new Map<string, string>()
    const extras = new Map(this.#profile.extras)
    changes.forEach((change, index) => {
      // A value that is not ASCII comes back in client_encoding, which may be any. Such values are stored unchanged, so use the one we sent.
      const shown = row[index] ?? ''
      const value = isAscii(shown) ? shown : (change.value ?? '')
      values.set(change.name, value)
      const place = this.#tracked.place(change.name)
      const known = place >= 0 ? this.#profile.values[place] : null
      if (known !== null && known !== undefined) this.#profile = this.#profile.withValue(place, value)
      else if (change.value === null) extras.delete(change.name)
      else extras.set(change.name, value)
    })
    this.#profile = this.#profile.withExtras(extras)
    this.#hasDoubtfulExtras = false
    return values
  }

  /** The extras are again what they were before a reset. Whether other unreported settings have changed is as doubtful as before. */
  restored(extras: ReadonlyMap<string, string>): void {
    this.#profile = this.#profile.withExtras(extras)
  }

  /** A command with this tag has run, which may have changed settings. */
  noteTag(tag: string): void {
    if (tag === 'DISCARD ALL') {
      this.#profile = this.#profile.withExtras(new Map())
      this.#hasDoubtfulExtras = false
    } else if (this.#profile.extras.size > 0) this.#hasDoubtfulExtras = true
  }

  /** The server has reported a new value of a tracked setting. Returns the value as decoded (see `understand`). */
  noteParameter(place: number, value: string): string {
    const encoding = this.#profile.values[this.#tracked.place('client_encoding')] ?? 'UTF8'
    const understood = understand(value, encoding)
    this.#profile = this.#profile.withValue(place, understood)
    return understood
  }
}

function isAscii(text: string): boolean {
  return /^[\x00-\x7f]*$/.test(text)
}
