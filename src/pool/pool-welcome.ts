/**
 * The parameter values that the clients of one pool receive after login: what its servers report before a client changes anything, and the
 * profile that this makes.
 */

import { Profile } from '../server/profile.ts'
import type { Welcome } from './welcome.ts'

export class PoolWelcome {
  readonly #welcome: Welcome
  /** What servers reported that were opened for the former target. */
  readonly #former: ReadonlyMap<string, string> | null
  readonly #trackedNames: readonly string[]
  /** The last profile, and the values it was made of. */
  #made: { readonly values: ReadonlyMap<string, string>; readonly profile: Profile } | null = null

  /**
   * @param welcome of servers that are opened as the pool opens them now
   * @param former the values before the pool's target changed
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
   * The settings of a client that asked for none itself; null before the first login.
   *
   * @param canAsk a server can be opened to ask, so that the values of former servers are not good enough
   */
  profile(canAsk: boolean): Profile | null {
    const { values } = this
    if (values === null || (canAsk && this.#welcome.values === null)) return null
    if (this.#made?.values !== values)
      this.#made = { values, profile: Profile.of(this.#trackedNames.map((name) => values.get(name) ?? null)) }
    return this.#made.profile
  }
}
