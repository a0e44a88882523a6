/** The worker processes of a pooler under test: those that exist now, and all that were ever seen. */

import { expect, onTestFinished } from 'vitest'
import type { WorkerSnapshot } from '../../../src/workers/fleet.ts'
import type { Pgweir } from './pgweir.ts'
import { LONG_PATIENCE_MS, until } from './until.ts'
import { isRunning } from './worker-processes.ts'

export class Roster {
  readonly #seen = new Set<number>()
  #pgweir: Pgweir | null = null

  /** Create it before the pooler: at the end of the test, it then checks that none of the workers is left. */
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

  /** The number of restarts after a crash or hang, over all current workers. */
  async restarts(): Promise<number> {
    return (await this.all()).reduce((sum, { restarts }) => sum + restarts, 0)
  }

  /** Waits until these workers are gone and `workers` of them serve. */
  async untilReplaced(gone: readonly Pick<WorkerSnapshot, 'pid'>[], workers: number): Promise<void> {
    const pids = new Set(gone.map(({ pid }) => pid))
    const areReplaced = async () => {
      const all = await this.all()
      return all.every(({ pid, state }) => !pids.has(pid) && state === 'serving') && all.length === workers
    }
    await until(`${workers} workers serve, and none of ${[...pids]} is left`, areReplaced, LONG_PATIENCE_MS)
  }
}
