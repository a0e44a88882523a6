/** Texts that come from many peers and are mostly the same: names of users and databases, addresses. Equal ones become one. */

import { Lru } from './lru.ts'

/** Strangers choose some of them. */
const MAX_TEXTS = 1_000

export class SharedTexts {
  readonly #known = new Lru<string, string>(MAX_TEXTS)

  /** The text itself, or an equal one that others hold already. */
  share(text: string): string {
    const known = this.#known.get(text)
    if (known !== undefined) return known
    this.#known.set(text, text)
    return text
  }
}
