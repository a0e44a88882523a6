/** Decides which worker the next client goes to: on a shared socket by which workers may accept, otherwise by handing each connection to a worker. */

import type { Clock } from '../base/clock.ts'
import type { Worker } from './worker.ts'

/** How many connections a worker may have more than the one with the fewest: a sixteenth of those, and one. */
const SLACK = 16

/** Two beats: a worker that has missed both gets no connections. */
const AWAKE_MS = 2_000

export class Spreading {
  readonly #clock: Clock
  readonly #workers: () => Iterable<Worker>
  #turns = 0

  /** @param workers returns all workers */
  constructor(clock: Clock, workers: () => Iterable<Worker>) {
    this.#clock = clock
    this.#workers = workers
  }

  /**
   * Returns the worker for a new connection: the one with the fewest connections, and among equals the one whose last turn was longest ago. Null
   * if none serves.
   */
  nextInTurn(): Worker | null {
    let next: Worker | null = null
    for (const worker of this.#awake()) if (next === null || goesBefore(worker, next)) next = worker
    if (next === null) return null
    next.underWay++
    next.handedOver++
    next.turn = ++this.#turns
    return next
  }

  /**
   * Returns the worker with the most connections: while the fleet is ending, each worker ends with its last client, so this one probably stays
   * longest. Null if none is left.
   */
  busiest(): Worker | null {
    let busiest: Worker | null = null
    for (const worker of this.#serving()) if (busiest === null || worker.load > busiest.load) busiest = worker
    return busiest
  }

  /** Tells workers with more than their share to leave new connections to the others. */
  settle(): void {
    const least = Math.min(...this.#awake().map(({ load }) => load))
    for (const worker of this.#serving()) {
      const accepts = worker.load <= least + 1 + least / SLACK
      if (accepts === worker.accepts) continue
      worker.accepts = accepts
      worker.line.tell('accept', { accepts, heard: 0 })
    }
  }

  /** The worker has accepted one more connection, and is told whether it may accept another. */
  accepted(worker: Worker, load: number): void {
    worker.load = load
    worker.underWay = Math.max(0, worker.underWay - 1)
    this.settle()
    worker.line.tell('accept', { accepts: worker.accepts, heard: 1 })
  }

  /**
   * A worker has sent its beat. Connections that were handed over since its last beat may reach it after this one. All that were handed over
   * before, it has reported by now, unless they broke on their way.
   */
  beaten(worker: Worker): void {
    worker.underWay = Math.min(worker.underWay, worker.handedOver)
    worker.handedOver = 0
  }

  #serving(): Worker[] {
    return [...this.#workers()].filter(({ state }) => state === 'serving')
  }

  /** Workers that serve and do not seem to hang; all that serve if there is no such worker. */
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
