/** What signals mean that end a command, for those that run until one comes. */

/** npm passes on the Ctrl-C that the terminal has sent to its script already: so soon after the first, the same signal is but its echo. */
export const ECHO_MS = 500

/** Each signal that asks for the end is more urgent than the one before: the first ends in its own way, the next at once, a third by force. */
export class EndSignals {
  readonly #atOnce: () => void
  readonly #byForce: () => void
  #urgency = 0
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
    this.#urgency = Math.max(this.#urgency + 1, gently === null ? 2 : 1)
    if (this.#urgency === 1) gently?.()
    else if (this.#urgency === 2) this.#atOnce()
    else this.#byForce()
  }
}
