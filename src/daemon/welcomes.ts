/** What is known of servers before one is opened: for each way to open one, what it will report. */

import { createHash } from 'node:crypto'
import { Lru } from '../base/lru.ts'
import { Welcome } from '../pool/welcome.ts'
import type { Welcomed } from '../workers/messages.ts'

/** Strangers may choose the names of databases. */
const KNOWN_WAYS = 1_000

export class Welcomes {
  readonly #welcomes = new Lru<string, Welcome>(KNOWN_WAYS)
  readonly #tellOthers: (welcomed: Welcomed) => void

  constructor(tellOthers: (welcomed: Welcomed) => void) {
    this.#tellOthers = tellOthers
  }

  /** @param decisive all that decides what a server reports, and whether it can be opened */
  of(decisive: readonly unknown[]): Welcome {
    // There are secrets in it, and long texts.
    return this.#at(createHash('sha256').update(JSON.stringify(decisive)).digest('base64'))
  }

  #at(how: string): Welcome {
    const known = this.#welcomes.get(how)
    if (known) return known
    const welcome = new Welcome((values) => this.#tellOthers({ how, values }))
    this.#welcomes.set(how, welcome)
    return welcome
  }

  /** A server has logged in to another process. */
  learnedElsewhere({ how, values }: Welcomed): void {
    this.#at(how).learnedElsewhere(values)
  }
}
