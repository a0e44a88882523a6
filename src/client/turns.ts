/**
 * Limits how much long-running work is done in a row, so that all other connections get their turn in between. Work above the limit waits
 * in the order in which it came. Used for TLS handshakes, each of which takes a thousand times as long as passing on a query.
 */

export class Turns {
  readonly #limit: () => number
  readonly #waiting: (() => void)[] = []
  /** How many pieces of work have begun since everybody else had their turn. */
  #begun = 0
  #isPlanned = false

  /** @param limit how many pieces of work are done in a row; 0 is no limit */
  constructor(limit: () => number) {
    this.#limit = limit
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Does the work at once, or when its turn comes. */
  take(work: () => void): void {
    const limit = this.#limit()
    if (limit > 0 && (this.#waiting.length > 0 || this.#begun >= limit)) {
      this.#waiting.push(work)
      return
    }
    this.#begun++
    this.#plan()
    work()
  }

  #plan(): void {
    if (this.#isPlanned) return
    this.#isPlanned = true
    setImmediate(this.#next)
  }

  readonly #next = (): void => {
    this.#isPlanned = false
    this.#begun = 0
    const limit = this.#limit() || this.#waiting.length
    while (this.#begun < limit) {
      const work = this.#waiting.shift()
      if (work === undefined) return
      this.#begun++
      this.#plan()
      work()
    }
  }
}
