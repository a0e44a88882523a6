/** Detects workers that hang, by how long they have been silent. */

import { SILENT_MS, type Worker } from './worker.ts'

/** If a look is later than this, the primary itself was kept from running, so no worker can be blamed for its silence. */
const LATE_LOOK_MS = 1_000

/** How long a worker may take to start: a busy machine is no reason to start another one. */
const START_MS = 30_000

export class Silence {
  #lookedMs: number

  constructor(nowMs: number) {
    this.#lookedMs = nowMs
  }

  /**
   * Returns the workers that are considered hung, and how long each has been silent. From then on each has the same time again.
   *
   * @param silenceMs how long a worker may be silent; 0 is no limit, and a value below SILENT_MS counts as SILENT_MS
   */
  look<Heard extends Pick<Worker, 'state' | 'heardMs'>>(
    workers: Iterable<Heard>,
    nowMs: number,
    silenceMs: number,
  ): { readonly worker: Heard; readonly silentMs: number }[] {
    const isLate = nowMs - this.#lookedMs > LATE_LOOK_MS
    this.#lookedMs = nowMs
    const hung: { worker: Heard; silentMs: number }[] = []
    for (const worker of workers) {
      if (isLate) worker.heardMs = nowMs
      const silentMs = nowMs - worker.heardMs
      const patienceMs = Math.max(silenceMs, worker.state === 'starting' ? START_MS : SILENT_MS)
      if (silenceMs === 0 || silentMs <= patienceMs) continue
      worker.heardMs = nowMs
      hung.push({ worker, silentMs })
    }
    return hung
  }
}
