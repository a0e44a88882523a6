/** Interprets the signals that end a command, for commands that run until one comes. */

/** npm passes on a Ctrl-C that the terminal has already sent to npm's script. The same signal within this time after the first is only its echo. */
export const ECHO_MS = 500

/**
 * The first signal that ends the command does so in its own way, and so does a different signal. The same signal again ends the command at
 * once, and any signal after that ends it by force.
 */
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

  /** @param gently what the signal does as the first of its kind; null if it ends the command at once */
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

  /** Ends the command at once. Also called when there was nothing left that a signal could have begun or hastened in its own way. */
  endAtOnce(): void {
    if (this.#isAtOnce) return
    this.#isAtOnce = true
    this.#atOnce()
  }
}
