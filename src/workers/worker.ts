/** A worker as seen by its primary: the process, the line to it, and what is recorded about it. */

import type { Clock } from '../base/clock.ts'
import { invariant } from '../base/invariant.ts'
import type { Totals } from '../pool/averages.ts'
import { type Accounts, NO_ACCOUNTS } from './accounts.ts'
import { ClientCounts } from './admissions.ts'
import type { WorkerSnapshot } from './fleet.ts'
import type { Kept, Leftover } from './leftovers.ts'
import { type Answers, Line, LineDown } from './line.ts'
import type { BackendKey, Beat, ServerConnected, ToPrimary, ToWorker } from './messages.ts'
import type { Counter } from './remote-pool.ts'
import { ONCE_IT_SERVES, WORKER_MOVES, type WorkerState } from './states.ts'

/** A process that runs a worker. */
export interface WorkerProcess {
  readonly pid: number
  /** Returns false if the process is gone. */
  send(message: unknown): boolean
  kill(signal: 'SIGTERM' | 'SIGKILL'): void
}

export interface WorkerProcessListener {
  onMessage(message: unknown): void
  /** A server is connected. `connection` is null if the system could not pass on the handle. */
  onConnected(server: ServerConnected['connected'], connection: Kept | null): void
  /** The process is gone. `how` is text for people: `exit code 1`, `SIGKILL`. */
  onExit(how: string): void
}

/** A server of a worker, and what is needed to end it if the worker dies. */
interface KnownServer extends Leftover {
  key: BackendKey | null
}

/** A healthy worker sends a beat once a second, or a little later if the machine is busy. Nobody waits longer than this for reports of a worker. */
export const SILENT_MS = 3_000

const NO_BEAT: Beat = { clients: 0, servers: 0, cpuUs: 0, residentBytes: 0, delayUs: 0 }

export class Worker implements Counter {
  readonly number: number
  readonly process: WorkerProcess
  readonly line: Line<ToWorker, ToPrimary>
  /** The limits that its clients are counted under, to be released when it is gone. */
  readonly claims = new ClientCounts(() => Infinity)
  readonly startedMs: number
  readonly startedWallMs: number
  readonly servers = new Map<number, KnownServer>()
  /** When its last message arrived. */
  heardMs: number
  /** How many connections of clients are open, as last reported. */
  load = 0
  /** How many connections were handed over to it that it has not reported yet. */
  underWay = 0
  /** How many were handed over to it since its last beat. */
  handedOver = 0
  /** The number of its last turn to be handed a connection; turns are counted over all workers. */
  turn = 0
  /** Whether it was last told to accept connections. */
  accepts = true
  beat: Beat = NO_BEAT
  /** What it has counted, by database, as last reported. */
  totals: ReadonlyMap<string, Totals> = new Map()
  /** The same by database and user, with more details, as last reported. */
  accounts: Accounts = NO_ACCOUNTS
  /** Resolves when the process is gone. */
  readonly ended: Promise<void>
  #state: WorkerState = 'starting'
  #end = () => {}
  /** Each of these gives up waiting for an answer. */
  readonly #impatient = new Set<() => void>()

  constructor(number: number, process: WorkerProcess, answers: Answers<ToPrimary>, clock: Clock) {
    this.number = number
    this.process = process
    this.line = new Line(process, answers)
    this.startedMs = clock.nowMs
    this.startedWallMs = clock.wallMs()
    this.heardMs = clock.nowMs
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
  }

  get state(): WorkerState {
    return this.#state
  }

  /** Names the worker in the log. */
  get subject(): string {
    return `worker ${this.number} (pid ${this.process.pid})`
  }

  enter(next: WorkerState): void {
    invariant(WORKER_MOVES[this.#state].includes(next), `${this.subject} cannot go from ${this.#state} to ${next}`)
    this.#state = next
    if (next === 'gone') this.#end()
  }

  isSilent(nowMs: number): boolean {
    return nowMs - this.heardMs > SILENT_MS
  }

  /** Wraps the answer to a question that the fleet can do without. Rejects like `Line.ask`, and also with `LineDown` when the worker falls silent. */
  unlessSilent<Answer>(answer: Promise<Answer>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const giveUp = () => reject(new LineDown())
      this.#impatient.add(giveUp)
      answer.then(resolve, reject).finally(() => this.#impatient.delete(giveUp))
    })
  }

  /** Called by the janitor. If the worker is silent, gives up waiting for its answers. */
  sweep(nowMs: number): void {
    if (this.#impatient.size === 0 || !this.isSilent(nowMs)) return
    for (const giveUp of this.#impatient) giveUp()
    this.#impatient.clear()
  }

  // Messages about its permits

  granted(pool: number, usesReserve: boolean): void {
    this.line.tell('permitGranted', { pool, usesReserve })
  }

  recalled(pool: number, because: string, sparedMs: number | null, isTurn: boolean): void {
    this.line.tell('permitRecalled', { pool, because, sparedMs, isTurn })
  }

  kept(pool: number): void {
    this.line.tell('permitsKept', pool)
  }

  floored(pool: number, floor: number): void {
    this.line.tell('permitFloor', { pool, floor })
  }

  ready(pool: number): number {
    let ready = 0
    for (const server of this.servers.values()) if (server.pool === pool && server.key !== null) ready++
    return ready
  }

  polled(pools: readonly number[]): void {
    this.line.tell('permitsPoll', pools)
  }

  snapshot(restarts: number, nowMs: number): WorkerSnapshot | null {
    if (this.#state === 'gone') return null
    const { number, process, startedWallMs, beat } = this
    const isMissing = ONCE_IT_SERVES.includes(this.#state) && this.isSilent(nowMs)
    const state = isMissing ? 'silent' : this.#state
    return { number, pid: process.pid, state, startedAt: startedWallMs, ...beat, restarts }
  }
}
