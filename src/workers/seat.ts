/** One of the places for workers in a fleet: which worker has it, and when the next one starts after a crash. */

import type { Worker } from './worker.ts'

/** The first delay after a crash. It doubles with each crash that follows soon, up to MAX_DELAY_MS. */
const FIRST_DELAY_MS = 100
const MAX_DELAY_MS = 10_000

/** A worker that has run for this long did not crash because of how it was started. */
const PROVED_MS = 30_000

export class Seat {
  /** The worker in this seat; null while there is none. */
  worker: Worker | null = null
  /** How often a worker in this seat had to be replaced because it had crashed or hung. */
  restarts = 0
  /** When the next worker has to be started. */
  dueMs = Infinity
  /** Resolves once the worker that took the seat last serves, or has failed to start. */
  filled: Promise<unknown> = Promise.resolve()
  #failures = 0

  /** The worker has ended unexpectedly. Returns how many milliseconds later the next one is started. */
  lost(nowMs: number, servedMs: number): number {
    this.worker = null
    this.restarts++
    this.#failures = servedMs >= PROVED_MS ? 1 : this.#failures + 1
    const delayMs = Math.min(FIRST_DELAY_MS * 2 ** (this.#failures - 1), MAX_DELAY_MS)
    this.dueMs = nowMs + delayMs
    return delayMs
  }

  take(worker: Worker): void {
    this.worker = worker
    this.dueMs = Infinity
  }
}
