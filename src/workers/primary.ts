/** The primary of a fleet: starts workers, replaces those that crash or hang, and answers for all of them. It serves no clients. */

import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { Lru } from '../base/lru.ts'
import type { Address } from '../net/channel.ts'
import { type Span, sumOf } from '../pool/averages.ts'
import type { SizesOf } from '../pool/permits/book.ts'
import type { TallyNames } from '../pool/tallies.ts'
import { PoolerError } from '../problems.ts'
import { ClientCounts, type MaxOf } from './admissions.ts'
import { type AnswersParts, answersTo } from './answers.ts'
import type { Control, ControlCall } from './control.ts'
import type { FailedLogins } from './failed-logins.ts'
import type { WorkerSnapshot } from './fleet.ts'
import { GatheredFleet } from './gathered-fleet.ts'
import type { Leftovers } from './leftovers.ts'
import { LineDown } from './line.ts'
import type { Welcomed } from './messages.ts'
import { PermitDesk } from './permit-desk.ts'
import { Seat } from './seat.ts'
import { Silence } from './silence.ts'
import { Spreading } from './spreading.ts'
import { FROM_THE_START, ONCE_IT_SERVES, type WorkerState } from './states.ts'
import { Worker, type WorkerProcess, type WorkerProcessListener } from './worker.ts'
import { Workers } from './workers.ts'

export interface PrimaryOptions {
  readonly clock: Clock
  readonly log: Log
  readonly workers: number
  /** Decides which names are counted separately over all workers. */
  readonly tallyNames: TallyNames
  /** Returns what a worker needs to build its pooler: see `StartOrder`. */
  work(): unknown
  /** Carries out commands from the console of any worker. */
  readonly control: Control
  /** Commands that a new worker has to carry out before it serves clients. */
  readonly standing: Iterable<ControlCall>
  /** A worker accepts clients from now on. */
  onServing(): void
  onWorkerGone(number: number): void
  readonly maxClients: MaxOf
  /** Returns the numbers of permits in the present settings. */
  readonly sizesOf: SizesOf
  readonly failedLogins: Pick<FailedLogins, 'failed'>
  /** Calls `work` once, after `ms`. */
  later(ms: number, work: () => void): void
  /** How long a worker may be silent before it is considered hung. */
  silenceMs(): number
  /** How long statistics are kept of a database that no worker knows any more. */
  databaseIdleMs(database: string): number
  readonly leftovers: Pick<Leftovers, 'clear'>
  spawn(listener: WorkerProcessListener): WorkerProcess
}

/** What `onExit` says about a process that has ended by itself. */
const CLEANLY = 'exit code 0'

/** How long workers may take to say goodbye to their clients before they are killed. */
const STOP_MS = 5_000

/** How often statistics of unused databases are looked for. */
const FORGET_MS = 10_000

/** For how many ways to open servers a new worker is told what they report. */
const KNOWN_WELCOMES = 1_000

export class Primary extends GatheredFleet {
  readonly control: Control
  readonly #options: PrimaryOptions
  readonly #seats: readonly Seat[]
  readonly #workers = new Workers()
  readonly #clients: ClientCounts
  readonly #permits: PermitDesk
  readonly #spreading: Spreading
  readonly #welcomed = new Lru<string, Welcomed>(KNOWN_WELCOMES)
  readonly #silence: Silence
  readonly #answers: AnswersParts
  #addresses: readonly Address[] = []
  #state: 'starting' | 'serving' | 'ending' = 'starting'
  #restarting: Promise<void> | null = null
  /** When statistics of unused databases were last looked for. */
  #forgottenMs = -Infinity

  constructor(options: PrimaryOptions) {
    super(options.tallyNames)
    this.#options = options
    this.control = options.control
    this.#seats = Array.from({ length: options.workers }, () => new Seat())
    this.#clients = new ClientCounts(options.maxClients)
    this.#permits = new PermitDesk(options)
    this.#spreading = new Spreading(options.clock, () => this.#workers)
    this.#silence = new Silence(options.clock.nowMs)
    this.#answers = {
      workers: this.#workers,
      clients: this.#clients,
      permits: this.#permits,
      spreading: this.#spreading,
      failedLogins: options.failedLogins,
      welcomed: this.#welcomed,
      fleet: this,
      noteAccounts: (worker, accounts) => this.noteAccounts(worker, accounts),
    }
  }

  /** Starts the workers. Resolves once all of them serve; rejects with the first one's reason not to. */
  async start(): Promise<readonly Address[]> {
    const [first = []] = await Promise.all(this.#seats.map((seat) => this.#fill(seat)))
    this.#addresses = first
    if (this.#state === 'starting') this.#state = 'serving'
    return first
  }

  /** For tests. */
  get permits(): PermitDesk {
    return this.#permits
  }

  get addresses(): readonly Address[] {
    return this.#addresses
  }

  /** Returns the worker for a new connection; null if none serves. */
  nextInTurn(): Worker | null {
    return this.isEnding ? this.#spreading.busiest() : this.#spreading.nextInTurn()
  }

  // Workers

  /**
   * Starts a worker in a seat. Resolves once it serves.
   *
   * @param former the worker that it replaces, which serves until then
   */
  async #fill(seat: Seat, former: Worker | null = null): Promise<readonly Address[]> {
    // Forgotten once it does not matter any more: otherwise each worker would keep the one before it, and so all that there ever were.
    const replaces = { worker: former }
    const worker = this.#spawn((last, how) => this.#ended(worker, seat, replaces.worker, last, how))
    seat.take(worker)
    const launched = this.#launch(worker).then((addresses) => {
      replaces.worker = null
      return addresses
    })
    seat.filled = launched.catch(() => {})
    return launched
  }

  #spawn(onExit: (last: WorkerState, how: string) => void): Worker {
    const { clock, spawn } = this.#options
    const number = this.#workers.freeNumber()
    const process = spawn({
      onMessage: (message) => {
        clock.refresh()
        worker.heardMs = clock.nowMs
        worker.line.receive(message)
      },
      onConnected: ({ id, pool }, connection) => worker.servers.set(id, { pool, connection, key: null }),
      onExit: (how) => {
        const last = worker.state
        this.#forget(worker)
        onExit(last, how)
      },
    })
    const worker: Worker = new Worker(
      number,
      process,
      answersTo(() => worker, this.#answers),
      clock,
    )
    this.#workers.add(worker)
    return worker
  }

  async #launch(worker: Worker): Promise<readonly Address[]> {
    const { work, standing, log, onServing } = this.#options
    try {
      const { number } = worker
      const addresses = await worker.line.ask('start', {
        ...{ number, work: work() },
        standing: [...standing],
        welcomed: [...this.#welcomed.values()],
      })
      if (worker.state === 'starting') worker.enter('serving')
      log.info(`${worker.subject} accepts clients`)
      this.#spreading.settle()
      onServing()
      return addresses
    } catch (problem) {
      if (worker.state === 'starting') {
        worker.enter('stopping')
        worker.process.kill('SIGKILL')
      }
      throw problem instanceof LineDown ? new Error(`${worker.subject} ended before it was ready`) : problem
    }
  }

  /** The process is gone: releases everything that it had. */
  #forget(worker: Worker): void {
    worker.enter('gone')
    worker.line.hangUp()
    this.#workers.remove(worker)
    this.#options.onWorkerGone(worker.number)
    this.#clients.release([...worker.claims.claims()])
    this.noteDeparted(worker, this.#options.clock.nowMs)
    // Empty if the worker ended by itself, since it has closed its servers then.
    const leftovers = [...worker.servers.values()]
    const stillHeld = this.#permits.left(
      worker,
      leftovers.map(({ pool }) => pool),
    )
    for (const leftover of leftovers) this.#options.leftovers.clear(leftover, () => stillHeld.giveBack(leftover.pool))
    this.#spreading.settle()
  }

  /** @param last the state of the worker before it ended */
  #ended(worker: Worker, seat: Seat, former: Worker | null, last: WorkerState, how: string): void {
    const { clock, log } = this.#options
    const hasServed = last === 'serving' || last === 'draining'
    const isMeant = hasServed ? how === CLEANLY && (last === 'draining' || this.isEnding) : this.isEnding
    if (isMeant) return
    const ending = `${worker.subject} ended ${hasServed ? `(${how}); its clients lost their connections` : `before it was ready (${how})`}`
    if (!hasServed && (this.#state === 'starting' || former?.state === 'serving')) {
      log.error(former === null ? ending : `${ending}; ${former.subject} stays in service`)
      return
    }
    this.noteLost()
    if (seat.worker !== worker || this.isEnding) {
      log.error(ending)
      return
    }
    const delayMs = seat.lost(clock.nowMs, clock.nowMs - worker.startedMs)
    log.error(`${ending}; a new worker starts in ${delayMs} ms`)
  }

  /** Called by the janitor. */
  sweep(): void {
    const { clock, log, silenceMs, databaseIdleMs } = this.#options
    const { nowMs } = clock
    for (const { worker, silentMs } of this.#silence.look(this.#workers, nowMs, silenceMs())) {
      log.error(`${worker.subject} has not responded for ${Math.round(silentMs)} ms and is killed`)
      worker.process.kill('SIGKILL')
    }
    for (const worker of this.#workers) worker.sweep(nowMs)
    for (const seat of this.#seats) if (nowMs >= seat.dueMs) this.#refill(seat)
    this.#spreading.settle()
    if (nowMs - this.#forgottenMs < FORGET_MS) return
    this.#forgottenMs = nowMs
    this.forgetUnused(nowMs, databaseIdleMs)
  }

  #refill(seat: Seat): void {
    seat.dueMs = Infinity
    // If the worker ends early, `#ended` schedules another attempt.
    this.#fill(seat).catch((problem: Error) => {
      const { clock, log } = this.#options
      log.error(`a worker could not be started: ${problem.message}`)
      // If not even a process could be started, there was no end for `#ended` to handle.
      if (seat.worker === null && seat.dueMs === Infinity && !this.isEnding) seat.lost(clock.nowMs, 0)
    })
  }

  /** Has every worker carry out a command, including workers that are starting. One that goes away meanwhile has nothing left to do. */
  everywhere(call: ControlCall): Promise<readonly unknown[]> {
    return this.#workers.ask(FROM_THE_START, (worker) => worker.line.ask('control', call))
  }

  /** The settings have changed: limits have new numbers of permits from now on. */
  resize(): void {
    this.#permits.resize()
  }

  /** Passes new settings to every worker. */
  async apply(settings: unknown): Promise<void> {
    await this.#workers.ask(FROM_THE_START, (worker) => worker.line.ask('settings', settings))
  }

  /** Takes no new clients. Those that are connected stay until they leave, or until `stop` is called. */
  beginEnd(): void {
    this.#state = 'ending'
    for (const seat of this.#seats) seat.dueMs = Infinity
  }

  /** Resolves when no worker is left. */
  async ended(): Promise<void> {
    await this.#workers.ended()
  }

  /**
   * Replaces the workers one by one. Each accepts clients until its successor serves. Throws a `PoolerError` if the fleet is ending, or if a
   * replacement is running already.
   */
  restart(graceMs: number): void {
    if (this.isEnding) throw new PoolerError('shutting-down')
    if (this.#restarting !== null) throw new PoolerError('restart-runs')
    const { log } = this.#options
    this.#restarting = this.#restart(graceMs)
      .then(
        (areAll) => {
          if (areAll) log.info('all workers have been replaced')
        },
        (problem: Error) => log.error(`workers could not be replaced: ${problem.message}`),
      )
      .finally(() => {
        this.#restarting = null
      })
  }

  /** Resolves when the replacement that is running has ended; at once if there is none. */
  get restarting(): Promise<void> {
    return this.#restarting ?? Promise.resolve()
  }

  /** Resolves with true if all workers were replaced, with false if the fleet is ending. */
  async #restart(graceMs: number): Promise<boolean> {
    for (const seat of this.#seats) {
      // A worker that is starting cannot be told to drain, and would go on to serve beside its successor.
      while (seat.worker?.state === 'starting') await seat.filled
      const before = seat.worker
      if (this.isEnding) return false
      try {
        await this.#fill(seat, before)
      } catch (problem) {
        // The worker that was to be replaced keeps its seat.
        if (before?.state === 'serving') seat.take(before)
        throw problem
      }
      // When the fleet is ending, each worker ends by itself.
      if (before?.state !== 'serving' || this.isEnding) continue
      before.enter('draining')
      this.#spreading.settle()
      before.line.tell('drain', { graceMs })
      await before.ended
    }
    return !this.isEnding
  }

  // The fleet as one

  protected get isEnding(): boolean {
    return this.#state === 'ending'
  }

  protected everyone(): Iterable<Worker> {
    return this.#workers
  }

  protected askAll<Answer>(ask: (worker: Worker) => Promise<Answer>): Promise<Answer[]> {
    return this.#workers.askAwake(this.#options.clock.nowMs, ask)
  }

  async workers(): Promise<WorkerSnapshot[]> {
    const { nowMs } = this.#options.clock
    const restarts = new Map(this.#seats.map((seat) => [seat.worker, seat.restarts]))
    const workers = [...this.#workers].flatMap((worker) => worker.snapshot(restarts.get(worker) ?? 0, nowMs) ?? [])
    // Once the fleet is ending, no worker takes new clients, although no worker was told to drain.
    return workers.map((worker) =>
      this.isEnding && worker.state === 'serving' ? { ...worker, state: 'draining' } : worker,
    )
  }

  /** Ends a period of averages in all workers. Resolves with what was counted in it, over all databases. */
  async endPeriod(): Promise<Span> {
    // Includes workers that drain, which may take long: averages cover the same time everywhere.
    const spans = await this.#workers.ask(ONCE_IT_SERVES, (worker) =>
      // A worker that hangs does not hold up the others. Its own period ends as soon as it continues.
      worker.unlessSilent(worker.line.ask('endPeriod', null)),
    )
    return { ms: Math.max(0, ...spans.map(({ ms }) => ms)), totals: sumOf(spans.map(({ totals }) => totals)) }
  }

  // The end

  /** Tells all workers to end, and resolves when they have. Those that are left after STOP_MS are killed. */
  async stop(): Promise<void> {
    this.#state = 'ending'
    for (const seat of this.#seats) seat.dueMs = Infinity
    for (const worker of this.#workers) {
      if (worker.state !== 'stopping') worker.enter('stopping')
      worker.line.tell('stop', null)
    }
    const killing = setTimeout(() => {
      for (const worker of this.#workers) worker.process.kill('SIGKILL')
    }, STOP_MS)
    await this.ended()
    clearTimeout(killing)
  }
}
