/** One of the places for workers in a fleet: whoever sits there, and when the next one comes after a crash. */

import type { Worker } from './worker.ts'

/** The first delay after a crash; it doubles with each that follows soon. */
const FIRST_DELAY_MS = 100
const MAX_DELAY_MS = 10_000

/** A worker that has served for so long has not crashed because of how it was started. */
const PROVED_MS = 30_000

export class Seat {
  /** Who sits there now; null while nobody does. */
  worker: Worker | null = null
  /** How often its workers had to be replaced because they had crashed or hung. */
  restarts = 0
  /** When the next one is to be started. */
  dueMs = Infinity
  /** Resolves once whoever was put here last serves, or has failed to. */
  filled: Promise<unknown> = Promise.resolve()
  #failures = 0

  /** The worker is gone, and was not meant to be. Returns how long to wait before the next one is started. */
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
