/** What signals mean that end a command, for those that run until one comes. */

/** npm passes on the Ctrl-C that the terminal has sent to its script already: so soon after the first, the same signal is but its echo. */
export const ECHO_MS = 500

/** The first signal for the end ends in its own way, and so does another one; the same one again ends at once, and whatever comes after that by force. */
export class EndSignals {
  readonly #atOnce: () => void
  readonly #byForce: () => void
  readonly #received = new Set<string>()
  #isAtOnce = false
  #last = { signal: '', atMs: -Infinity }

  constructor(atOnce: () => void, byForce: () => void) {
    this.#atOnce = atOnce
    this.#byForce = byForce
  }

  /** @param gently what it means as the first one; null if even that is at once */
  received(signal: string, gently: (() => void) | null): void {
    const { signal: last, atMs } = this.#last
    const nowMs = performance.now()
    if (signal === last && nowMs - atMs < ECHO_MS) return
    this.#last = { signal, atMs: nowMs }
    if (this.#isAtOnce) this.#byForce()
    else if (gently === null || this.#received.has(signal)) this.endAtOnce()
    else {
      this.#received.add(signal)
      gently()
    }
  }

  /** There was nothing left that the signal could have begun or hastened in its own way. */
  endAtOnce(): void {
    if (this.#isAtOnce) return
    this.#isAtOnce = true
    this.#atOnce()
  }
}
