/** All worker processes by number, including those that are starting, and those that drain and have no seat any more. */

import { MAX_WORKER } from '../wire/cancel-key.ts'
import { LineDown } from './line.ts'
import { ONCE_IT_SERVES, type WorkerState } from './states.ts'
import type { Worker } from './worker.ts'

/** Takes the place of the answer of a worker that is gone. */
const GONE = Symbol('gone')

export class Workers {
  readonly #all = new Map<number, Worker>()

  add(worker: Worker): void {
    this.#all.set(worker.number, worker)
  }

  remove(worker: Worker): void {
    this.#all.delete(worker.number)
  }

  numbered(number: number): Worker | null {
    return this.#all.get(number) ?? null
  }

  /** Returns a number for the next worker. Numbers are used again, since cancel keys have room for few. */
  freeNumber(): number {
    for (let number = 1; number <= MAX_WORKER; number++) if (!this.#all.has(number)) return number
    throw new Error(`there cannot be more than ${MAX_WORKER} workers`)
  }

  /** Asks all workers in one of these states. There is no answer from one that goes away meanwhile. */
  ask<Answer>(states: readonly WorkerState[], ask: (worker: Worker) => Promise<Answer>): Promise<Answer[]> {
    return this.#ask(
      [...this].filter(({ state }) => states.includes(state)),
      ask,
    )
  }

  /** Asks all workers that serve clients for something that can be done without: workers that seem to hang are left out. */
  askAwake<Answer>(nowMs: number, ask: (worker: Worker) => Promise<Answer>): Promise<Answer[]> {
    // Questions to a worker that hangs would pile up.
    const awake = [...this].filter((worker) => ONCE_IT_SERVES.includes(worker.state) && !worker.isSilent(nowMs))
    return this.#ask(awake, (worker) => worker.unlessSilent(ask(worker)))
  }

  async #ask<Answer>(asked: readonly Worker[], ask: (worker: Worker) => Promise<Answer>): Promise<Answer[]> {
    const answers = await Promise.all(
      asked.map((worker) =>
        ask(worker).catch((problem: unknown) => {
          if (problem instanceof LineDown) return GONE
          throw problem
        }),
      ),
    )
    return answers.filter((answer) => answer !== GONE) as Answer[]
  }

  /** Resolves when the workers that exist now are gone. */
  async ended(): Promise<void> {
    await Promise.all([...this].map((worker) => worker.ended))
  }

  [Symbol.iterator](): Iterator<Worker> {
    return this.#all.values()
  }
}
