/** Promises that resolve once a condition holds. Conditions are evaluated when something has happened (`check`), not periodically. */

interface Waiting {
  isMet(): boolean
  resolve(): void
  reject(problem: unknown): void
}

export class Conditions {
  readonly #waiting = new Set<Waiting>()
  #isDue = false

  /** Resolves once `isMet` returns true, at once if it already does. Rejects if `isMet` throws. */
  until(isMet: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { isMet, resolve, reject }
      if (!hasEnded(waiting)) this.#waiting.add(waiting)
    })
  }

  /** Call when something has happened that may matter. Many calls in one turn cause a single evaluation, in a microtask. */
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
