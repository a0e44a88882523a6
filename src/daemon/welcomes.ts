/** Remembers what servers report at login, by the way they are opened, so that clients can be welcomed before a server is open. */

import { createHash } from 'node:crypto'
import { Lru } from '../base/lru.ts'
import { Welcome } from '../pool/welcome.ts'
import type { Welcomed } from '../workers/messages.ts'

/** Limit on the map, since unauthenticated clients may choose the names of databases. */
const KNOWN_WAYS = 1_000

export class Welcomes {
  readonly #welcomes = new Lru<string, Welcome>(KNOWN_WAYS)
  readonly #tellOthers: (welcomed: Welcomed) => void

  constructor(tellOthers: (welcomed: Welcomed) => void) {
    this.#tellOthers = tellOthers
  }

  /** @param decisive everything that determines what a server reports and whether it can be opened */
  of(decisive: readonly unknown[]): Welcome {
    // Hashed, because it contains secrets and long texts.
    return this.#at(createHash('sha256').update(JSON.stringify(decisive)).digest('base64'))
  }

  #at(how: string): Welcome {
    const known = this.#welcomes.get(how)
    if (known) return known
    const welcome = new Welcome((values) => this.#tellOthers({ how, values }))
    this.#welcomes.set(how, welcome)
    return welcome
  }

  /** Called when a server of another process has logged in. */
  learnedElsewhere({ how, values }: Welcomed): void {
    this.#at(how).learnedElsewhere(values)
  }
}
