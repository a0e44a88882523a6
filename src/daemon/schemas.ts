/** The versions of schemas, by where they really are: databases with different names may lead to one place. */

import type { Pool } from '../pool/pool.ts'
import { SchemaVersion } from '../server/schema-version.ts'

interface Entry {
  readonly version: SchemaVersion
  /** Whose servers are there; without any it is forgotten, since strangers may choose the names. */
  readonly pools: Set<Pool>
}

/** Calls back when all know. */
export type TellOthersOf = (place: string, known: () => void) => void

export class Schemas {
  readonly #entries = new Map<string, Entry>()
  readonly #placeOf = new Map<Pool, string>()
  readonly #tellOthers: TellOthersOf | null

  /** @param tellOthers of tables that this process has seen change at a place; null if it is the only one */
  constructor(tellOthers: TellOthersOf | null) {
    this.#tellOthers = tellOthers
  }

  get count(): number {
    return this.#entries.size
  }

  at(place: string): SchemaVersion {
    return this.#entry(place).version
  }

  /** The servers of a pool are there from now on. */
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

  /** Another process has seen it. */
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
