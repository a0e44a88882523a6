/** Notices workers that hang: of which nothing has been heard for too long. */

import { SILENT_MS, type Worker } from './worker.ts'

/** A look that is later than this was kept from running itself: nobody can be blamed for not having been heard. */
const LATE_LOOK_MS = 1_000

/** How long a worker may take to start: a busy machine is no reason to begin anew. */
const START_MS = 30_000

export class Silence {
  #lookedMs: number

  constructor(nowMs: number) {
    this.#lookedMs = nowMs
  }

  /**
   * Those that are taken for hung, and for how long they have been silent. From then on each has as long again.
   *
   * @param silenceMs for how long a worker may be silent; 0 is for ever, and anything below SILENT_MS is as much as that
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
