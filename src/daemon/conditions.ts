/** Promises that are kept once something holds. They are looked at when something has happened, not by the clock. */

interface Waiting {
  isMet(): boolean
  resolve(): void
  reject(problem: unknown): void
}

export class Conditions {
  readonly #waiting = new Set<Waiting>()
  #isDue = false

  /** Resolves once `isMet` is true, at once if it is; rejects with what it throws. */
  until(isMet: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { isMet, resolve, reject }
      if (!hasEnded(waiting)) this.#waiting.add(waiting)
    })
  }

  /** Something has happened. Much may happen in one turn, and is looked at once, when it is over. */
  check(): void {
    if (this.#waiting.size === 0 || this.#isDue) return
    this.#isDue = true
    queueMicrotask(() => {
      this.#isDue = false
      for (const waiting of this.#waiting) if (hasEnded(waiting)) this.#waiting.delete(waiting)
    })
  }
}

function hasEnded({ isMet, resolve, reject }: Waiting): boolean {
  try {
    if (!isMet()) return false
    resolve()
  } catch (problem) {
    reject(problem)
  }
  return true
}
