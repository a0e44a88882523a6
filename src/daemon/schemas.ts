/**
 * The schema versions, by place: hosts, port and database name on the server. Databases with different names in the settings may lead to the
 * same place and share its version.
 */

import type { Pool } from '../pool/pool.ts'
import { SchemaVersion } from '../server/schema-version.ts'

interface Entry {
  readonly version: SchemaVersion
  /** The pools with servers at this place. The last one to leave removes the entry, since unauthenticated clients may choose the names. */
  readonly pools: Set<Pool>
}

/** Tells other processes that tables have changed at `place`. Calls `known` when all of them know. */
export type TellOthersOf = (place: string, known: () => void) => void

export class Schemas {
  readonly #entries = new Map<string, Entry>()
  readonly #placeOf = new Map<Pool, string>()
  readonly #tellOthers: TellOthersOf | null

  /** @param tellOthers called when this process has seen tables change; null for a single process */
  constructor(tellOthers: TellOthersOf | null) {
    this.#tellOthers = tellOthers
  }

  get count(): number {
    return this.#entries.size
  }

  at(place: string): SchemaVersion {
    return this.#entry(place).version
  }

  /** Records that the servers of `pool` are at `place` from now on. */
  moved(pool: Pool, place: string): void {
    if (this.#placeOf.get(pool) === place) return
    this.left(pool)
    this.#placeOf.set(pool, place)
    this.#entry(place).pools.add(pool)
  }

  left(pool: Pool): void {
    const place = this.#placeOf.get(pool)
    if (place === undefined) return
    this.#placeOf.delete(pool)
    const { pools } = this.#entry(place)
    pools.delete(pool)
    if (pools.size === 0) this.#entries.delete(place)
  }

  /** Called when another process has seen tables change at `place`. */
  changedElsewhere(place: string): void {
    this.#entries.get(place)?.version.changedElsewhere()
  }

  #entry(place: string): Entry {
    let entry = this.#entries.get(place)
    if (entry === undefined) {
      const tellOthers = this.#tellOthers
      const version = new SchemaVersion(tellOthers && ((known) => tellOthers(place, known)))
      entry = { version, pools: new Set() }
      this.#entries.set(place, entry)
    }
    return entry
  }
}
