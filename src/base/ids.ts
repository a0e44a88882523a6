/** Ids of clients and servers. The ids of all processes of a fleet differ, and each fits into the int4 in which the console shows it. */

const MAX_ID = 0x7fffffff

/** With several processes, the lowest byte of an id is the number of the process. */
const STEP = 256

/** In a fleet: returns the number of the process whose client or server has this id. */
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

  /** Returns the next id that is not taken. After some two billion ids (in a fleet, eight million) they begin again. */
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
