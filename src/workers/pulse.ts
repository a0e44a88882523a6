/** Measures this process: its CPU time, its memory, and how late its event loop is. */

import { Histogram } from '../base/histogram.ts'
import type { Beat } from './messages.ts'

const SECOND_MS = 1_000

export class Pulse {
  #sweptMs: number | null = null
  /** The longest delay of the event loop in this second, and in the one before. */
  #delayMs = 0
  #delayBeforeMs = 0
  #secondMs = 0
  /** How late the event loop was, each time that it was measured. */
  readonly delays = new Histogram()
  readonly #everyMs: number
  #residentBytes = 0

  /** @param everyMs how often the janitor should call `swept` */
  constructor(everyMs: number) {
    this.#everyMs = everyMs
  }

  /** Called when the janitor's timer fires. If the timer is late, everything else in the process was late too. */
  swept(nowMs: number): void {
    if (nowMs - this.#secondMs >= SECOND_MS) {
      this.#delayBeforeMs = this.#delayMs
      this.#delayMs = 0
      this.#secondMs = nowMs
    }
    if (this.#sweptMs !== null) {
      const delayMs = Math.max(0, nowMs - this.#sweptMs - this.#everyMs)
      this.#delayMs = Math.max(this.#delayMs, delayMs)
      this.delays.note(delayMs)
    }
    this.#sweptMs = nowMs
  }

  /** Does not reset the delay, so that it can be read by several callers. */
  take(counts: Pick<Beat, 'clients' | 'servers'>): Beat {
    const { user, system } = process.cpuUsage()
    const delayUs = Math.round(Math.max(this.#delayMs, this.#delayBeforeMs) * 1000)
    this.#residentBytes = residentBytes() ?? this.#residentBytes
    return { ...counts, cpuUs: user + system, residentBytes: this.#residentBytes, delayUs }
  }
}

/** Returns null if the system does not tell: node reads it from a file, and there may be no descriptor left to open it. */
function residentBytes(): number | null {
  try {
    return process.memoryUsage.rss()
  } catch {
    return null
  }
}
