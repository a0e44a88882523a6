/** Which worker the next client goes to: on a shared socket by who may accept, else by handing connections over in turn. */

import type { Clock } from '../base/clock.ts'
import type { Worker } from './worker.ts'

/** How many connections a worker may have more than the one with the fewest: a sixteenth, and one. */
const SLACK = 16

/** Two beats: connections are not left to a worker that has missed both. */
const AWAKE_MS = 2_000

export class Spreading {
  readonly #clock: Clock
  readonly #workers: () => Iterable<Worker>
  #turns = 0

  /** @param workers all that there are */
  constructor(clock: Clock, workers: () => Iterable<Worker>) {
    this.#clock = clock
    this.#workers = workers
  }

  /** The worker for a new connection: the one with the fewest, and of equals each in turn. Null if none serves. */
  nextInTurn(): Worker | null {
    let next: Worker | null = null
    for (const worker of this.#awake()) if (next === null || goesBefore(worker, next)) next = worker
    if (next === null) return null
    next.underWay++
    next.handedOver++
    next.turn = ++this.#turns
    return next
  }

  /** The worker that has the longest to go, while each ends with its last client. Null if none is left. */
  busiest(): Worker | null {
    let busiest: Worker | null = null
    for (const worker of this.#serving()) if (busiest === null || worker.load > busiest.load) busiest = worker
    return busiest
  }

  /** Workers that have more than their share leave new connections to the others. */
  settle(): void {
    const least = Math.min(...this.#awake().map(({ load }) => load))
    for (const worker of this.#serving()) {
      const accepts = worker.load <= least + 1 + least / SLACK
      if (accepts === worker.accepts) continue
      worker.accepts = accepts
      worker.line.tell('accept', { accepts, heard: 0 })
    }
  }

  /** The worker has one connection more, and is told whether it may go on. */
  accepted(worker: Worker, load: number): void {
    worker.load = load
    worker.underWay = Math.max(0, worker.underWay - 1)
    this.settle()
    worker.line.tell('accept', { accepts: worker.accepts, heard: 1 })
  }

  /**
   * A worker has sent its beat. What was handed over since the last one may have come to it behind this one. All that was handed over
   * before, it has told of by now, unless that broke on its way.
   */
  beaten(worker: Worker): void {
    worker.underWay = Math.min(worker.underWay, worker.handedOver)
    worker.handedOver = 0
  }

  #serving(): Worker[] {
    return [...this.#workers()].filter(({ state }) => state === 'serving')
  }

  /** Those that do not seem to hang, if there are any. */
  #awake(): Worker[] {
    const { nowMs } = this.#clock
    const serving = this.#serving()
    const awake = serving.filter(({ heardMs }) => nowMs - heardMs <= AWAKE_MS)
    return awake.length > 0 ? awake : serving
  }
}

function goesBefore(one: Worker, other: Worker): boolean {
  const more = one.load + one.underWay - (other.load + other.underWay)
  return more < 0 || (more === 0 && one.turn < other.turn)
}
