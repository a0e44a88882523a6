/** Numbers for clients and servers: those of all processes of a fleet differ, and each fits into the int4 in which the console shows it. */

const MAX_ID = 0x7fffffff

/** With several processes, the lowest byte names the process. */
const STEP = 256

/** In a fleet: the process whose client or server has this id. */
export function processOf(id: number): number {
  return id % STEP
}

export class Ids {
  /** 0 for a process that is alone. */
  readonly #process: number
  readonly #taken = new Set<number>()
  #last = 0

  constructor(process = 0) {
    this.#process = process
  }

  /** The next one that nobody has. After some two thousand millions (or, in a fleet, eight millions) they begin anew. */
  take(): number {
    const step = this.#process === 0 ? 1 : STEP
    do {
      this.#last = this.#last + step > MAX_ID - STEP ? step : this.#last + step
    } while (this.#taken.has(this.#last + this.#process))
    const id = this.#last + this.#process
    this.#taken.add(id)
    return id
  }

  giveBack(id: number): void {
    this.#taken.delete(id)
  }
}
