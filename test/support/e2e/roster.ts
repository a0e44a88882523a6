/** The worker processes of a pooler under test, by name: those that there are, and all that there ever were. */

import { expect, onTestFinished } from 'vitest'
import type { WorkerSnapshot } from '../../../src/workers/fleet.ts'
import type { Pgweir } from './pgweir.ts'
import { LONG_PATIENCE_MS, until } from './until.ts'
import { isRunning } from './worker-processes.ts'

export class Roster {
  readonly #seen = new Set<number>()
  #pgweir: Pgweir | null = null

  /** Made before the pooler, so that the end of the test finds that none of its workers is left. */
  constructor() {
    onTestFinished(() => {
      for (const pid of this.#seen) expect(isRunning(pid), `worker ${pid} after the end`).toBe(false)
    })
  }

  of(pgweir: Pgweir): this {
    this.#pgweir = pgweir
    return this
  }

  async all(): Promise<readonly WorkerSnapshot[]> {
    const all = (await this.#pgweir?.fleet.workers()) ?? []
    for (const { pid } of all) this.#seen.add(pid)
    return all
  }

  async serving(): Promise<readonly WorkerSnapshot[]> {
    return (await this.all()).filter(({ state }) => state === 'serving')
  }

  /** How many of those that serve now are in the place of one that had crashed or hung, each time counted. */
  async restarts(): Promise<number> {
    return (await this.all()).reduce((sum, { restarts }) => sum + restarts, 0)
  }

  /** These have gone, and as many workers serve as before. */
  async untilReplaced(gone: readonly Pick<WorkerSnapshot, 'pid'>[], workers: number): Promise<void> {
    const pids = new Set(gone.map(({ pid }) => pid))
    const areReplaced = async () => {
      const all = await this.all()
      return all.every(({ pid, state }) => !pids.has(pid) && state === 'serving') && all.length === workers
    }
    await until(`${workers} workers serve, and none of ${[...pids]} is left`, areReplaced, LONG_PATIENCE_MS)
  }
}
