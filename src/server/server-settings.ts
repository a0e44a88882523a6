/** What the settings of one connection to Postgres are, as far as they are known, and what has to change for the next client. */

import { understand } from '../wire/reported-text.ts'
import { type Change, changesBetween, Profile, type Tracked } from './profile.ts'

export class ServerSettings {
  #profile: Profile = Profile.of([])
  /** Someone may have changed settings that are not reported. */
  #hasDoubtfulExtras = false
  readonly #tracked: Tracked

  constructor(tracked: Tracked) {
    this.#tracked = tracked
  }

  get profile(): Profile {
    return this.#profile
  }

  /** It has logged in, and this is what it reports. */
  begin(reported: ReadonlyMap<string, string>): void {
    this.#profile = Profile.of(this.#tracked.names.map((name) => reported.get(name) ?? null))
  }

  /** What has to change so that they are what is wanted; null if nothing has to. */
  changesTo(wanted: Profile): Change[] | null {
    if (this.#profile === wanted && !this.#hasDoubtfulExtras) return null
    const changes = changesBetween(this.#tracked, this.#profile, wanted, this.#hasDoubtfulExtras)
    if (changes.length > 0) return changes
    this.#profile = wanted.orElse(this.#profile)
    this.#hasDoubtfulExtras = false
    return null
  }

  /** The changes have been made, and `row` tells each new value. Returns the values as Postgres writes them, by name. */
  changed(changes: readonly Change[], row: readonly (string | null)[]): ReadonlyMap<string, string> {
    const values = new Map<string, string>()
    const extras = new Map(this.#profile.extras)
    changes.forEach((change, index) => {
      // What is not ASCII comes back in the client's encoding, whatever that is; it was taken as it is.
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

  /** These are what they were before a reset. What else has been set since is as doubtful as before. */
  restored(extras: ReadonlyMap<string, string>): void {
    this.#profile = this.#profile.withExtras(extras)
  }

  /** A command has run that may have changed settings. */
  noteTag(tag: string): void {
    if (tag === 'DISCARD ALL') {
      this.#profile = this.#profile.withExtras(new Map())
      this.#hasDoubtfulExtras = false
    } else if (this.#profile.extras.size > 0) this.#hasDoubtfulExtras = true
  }

  /** A tracked setting has changed. Returns the value as it is to be understood. */
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
