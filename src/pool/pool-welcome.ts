/** What the clients of one pool are welcomed with: what its servers report when nothing was set, and the settings that this makes. */

import { Profile } from '../server/profile.ts'
import type { Welcome } from './welcome.ts'

export class PoolWelcome {
  readonly #welcome: Welcome
  /** What servers reported that were opened otherwise. */
  readonly #former: ReadonlyMap<string, string> | null
  readonly #trackedNames: readonly string[]
  /** The last profile, and what it was made of. */
  #made: { readonly values: ReadonlyMap<string, string>; readonly profile: Profile } | null = null

  /**
   * @param welcome of servers that are opened as those of the pool are now
   * @param former what it was before they were opened like this
   */
  constructor(welcome: Welcome, former: ReadonlyMap<string, string> | null, trackedNames: readonly string[]) {
    this.#welcome = welcome
    this.#former = former
    this.#trackedNames = trackedNames
  }

  /** null before the first login. */
  get values(): ReadonlyMap<string, string> | null {
    return this.#welcome.values ?? this.#former
  }

  /**
   * The settings of a client that asked for nothing; null before the first login.
   *
   * @param canAsk a server can be asked: what others said that were opened otherwise is not good enough then
   */
  profile(canAsk: boolean): Profile | null {
    const { values } = this
    if (values === null || (canAsk && this.#welcome.values === null)) return null
    if (this.#made?.values !== values)
      this.#made = { values, profile: Profile.of(this.#trackedNames.map((name) => values.get(name) ?? null)) }
    return this.#made.profile
  }
}
