/** Keeps one copy of equal texts that come from many peers, such as the names of users and databases, and addresses. */

import { Lru } from './lru.ts'

/** A limit, because strangers choose some of the texts. */
const MAX_TEXTS = 1_000

export class SharedTexts {
  readonly #known = new Lru<string, string>(MAX_TEXTS)

  /** Returns the text itself, or an equal one that others hold already. */
  share(text: string): string {
    const known = this.#known.get(text)
    if (known !== undefined) return known
    this.#known.set(text, text)
    return text
  }
}
