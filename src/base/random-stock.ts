/** Random bytes in small pieces. Each new client needs some, and asking the system for many at once costs hardly more than asking for a few. */

import { randomFillSync } from 'node:crypto'

const STOCK_BYTES = 4 * 1024

export class RandomStock {
  #stock: Buffer = Buffer.alloc(0)
  #given = 0

  /** Returns this many bytes, which nobody else gets. They are a part of a larger buffer. */
  take(bytes: number): Buffer {
    if (this.#given + bytes > this.#stock.length) {
      this.#stock = randomFillSync(Buffer.allocUnsafeSlow(Math.max(STOCK_BYTES, bytes)))
      this.#given = 0
    }
    const start = this.#given
    this.#given += bytes
    return this.#stock.subarray(start, this.#given)
  }
}
