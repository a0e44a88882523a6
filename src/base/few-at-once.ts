/** Limits how many pieces of work run at the same time. The others wait in line. */

export class FewAtOnce {
  readonly #max: number
  /** One line for each place that work comes from. Places take turns, in the order of this map. */
  readonly #lines = new Map<string, (() => void)[]>()
  #taken = 0

  constructor(max: number) {
    this.#max = max
  }

  /** @param place whoever sends much work from one place does not delay what comes from others */
  async do<Result>(work: () => Promise<Result>, place = ''): Promise<Result> {
    if (this.#taken < this.#max) this.#taken++
    else
      await new Promise<void>((resolve) => {
        const line = this.#lines.get(place)
        if (line) line.push(resolve)
        else this.#lines.set(place, [resolve])
      })
    try {
      return await work()
    } finally {
      const next = this.#next()
      if (next) next()
      else this.#taken--
    }
  }

  #next(): (() => void) | undefined {
    for (const [place, line] of this.#lines) {
      const next = line.shift()
      this.#lines.delete(place)
      if (line.length > 0) this.#lines.set(place, line)
      return next
    }
    return undefined
  }
}
