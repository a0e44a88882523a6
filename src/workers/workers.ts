/** All worker processes that there are, by number: also those that start, or drain and have no seat any more. */

import { MAX_WORKER } from '../wire/cancel-key.ts'
import { LineDown } from './line.ts'
import { ONCE_IT_SERVES, type WorkerState } from './states.ts'
import type { Worker } from './worker.ts'

/** Instead of an answer. */
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

  /** For the next one: cancel keys have room for few, so that numbers are used again. */
  freeNumber(): number {
    for (let number = 1; number <= MAX_WORKER; number++) if (!this.#all.has(number)) return number
    throw new Error(`there cannot be more than ${MAX_WORKER} workers`)
  }

  /** Asks all that are in one of these states. One that goes away meanwhile has nothing to say any more. */
  ask<Answer>(states: readonly WorkerState[], ask: (worker: Worker) => Promise<Answer>): Promise<Answer[]> {
    return this.#ask(
      [...this].filter(({ state }) => states.includes(state)),
      ask,
    )
  }

  /** Asks all that have clients for what can be done without: who seems to hang is left out. */
  askAwake<Answer>(nowMs: number, ask: (worker: Worker) => Promise<Answer>): Promise<Answer[]> {
    // What it is asked would be kept for it, and more with each time.
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

  /** Resolves when those that are there now are gone. */
  async ended(): Promise<void> {
    await Promise.all([...this].map((worker) => worker.ended))
  }

  [Symbol.iterator](): Iterator<Worker> {
    return this.#all.values()
  }
}
