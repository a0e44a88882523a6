/**
 * Lets work that takes long for an event be done by and by: so much of it, and then everybody else has their turn. What is more waits in
 * the order that it came in. For handshakes of TLS, each of which takes a thousand times as long as passing on a query.
 */

export class Turns {
  readonly #limit: () => number
  readonly #waiting: (() => void)[] = []
  /** How much was begun since everybody else had their turn. */
  #begun = 0
  #isPlanned = false

  /** @param limit how much is done at a time; 0 is all of it */
  constructor(limit: () => number) {
    this.#limit = limit
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Does it at once, if it may. */
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
