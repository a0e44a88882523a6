/** The primary of a fleet: starts workers, replaces those that crash or hang, and speaks for all of them. It serves no clients. */

import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { Lru } from '../base/lru.ts'
import type { Address } from '../net/channel.ts'
import { type Span, sumOf } from '../pool/averages.ts'
import type { SizesOf } from '../pool/permits/book.ts'
import type { TallyNames } from '../pool/tallies.ts'
import { PoolerError } from '../problems.ts'
import { MAX_WORKER } from '../wire/cancel-key.ts'
import { type ClientClaim, ClientCounts, type MaxOf } from './admissions.ts'
import { type Control, type ControlCall, callOn } from './control.ts'
import type { FailedLogins } from './failed-logins.ts'
import type { WorkerSnapshot } from './fleet.ts'
import { GatheredFleet } from './gathered-fleet.ts'
import type { Leftovers } from './leftovers.ts'
import { type Answers, LineDown } from './line.ts'
import type { CancelKeyBytes, ToPrimary, Welcomed } from './messages.ts'
import { PermitDesk } from './permit-desk.ts'
import { Seat } from './seat.ts'
import { Spreading } from './spreading.ts'
import type { WorkerState } from './states.ts'
import { Worker, type WorkerProcess, type WorkerProcessListener } from './worker.ts'

export interface PrimaryOptions {
  readonly clock: Clock
  readonly log: Log
  readonly workers: number
  /** What is counted for them is told apart over all workers. */
  readonly tallyNames: TallyNames
  /** What workers are told to do: see `StartOrder`. */
  work(): unknown
  /** What is asked for on the console of any worker. */
  readonly control: Control
  /** What a new worker has to be told before it serves clients. */
  readonly standing: Iterable<ControlCall>
  onWorkerGone(number: number): void
  readonly maxClients: MaxOf
  /** How many permits there are. */
  readonly sizesOf: SizesOf
  readonly failedLogins: Pick<FailedLogins, 'failed'>
  /** Calls back once. */
  later(ms: number, work: () => void): void
  /** A worker of which nothing has been heard for so long is taken for hung. */
  silenceMs(): number
  readonly leftovers: Pick<Leftovers, 'clear'>
  spawn(listener: WorkerProcessListener): WorkerProcess
}

/** A sweep that is later than this was kept from running itself: nobody can be blamed for not having been heard. */
const LATE_SWEEP_MS = 1_000

/** How long a worker may take to start: a busy machine is no reason to begin anew. */
const START_MS = 30_000

/** How long workers may take to say goodbye to their clients. */
const STOP_MS = 5_000

/** Of how many kinds of servers new workers are told what they report. */
const KNOWN_WELCOMES = 1_000

export class Primary extends GatheredFleet {
  readonly control: Control
  readonly #options: PrimaryOptions
  readonly #seats: readonly Seat[]
  /** All processes, also those that drain and have no seat any more. */
  readonly #workers = new Map<number, Worker>()
  readonly #clients: ClientCounts
  readonly #permits: PermitDesk
  readonly #spreading: Spreading
  readonly #welcomed = new Lru<string, Welcomed>(KNOWN_WELCOMES)
  #addresses: readonly Address[] = []
  #sweptMs: number
  #isStopping = false
  #restarting: Promise<void> | null = null
  #isEmpty = () => {}

  constructor(options: PrimaryOptions) {
    super(options.tallyNames)
    this.#options = options
    this.control = options.control
    this.#seats = Array.from({ length: options.workers }, () => new Seat())
    this.#clients = new ClientCounts(options.maxClients)
    this.#permits = new PermitDesk(options)
    this.#spreading = new Spreading(options.clock, () => this.#workers.values())
    this.#sweptMs = options.clock.nowMs
  }

  /** Resolves once all workers serve; rejects with the first one's reason not to. */
  async start(): Promise<readonly Address[]> {
    const [first = []] = await Promise.all(this.#seats.map((seat) => this.#fill(seat)))
    this.#addresses = first
    return first
  }

  /** For tests. */
  get permits(): PermitDesk {
    return this.#permits
  }

  get addresses(): readonly Address[] {
    return this.#addresses
  }

  /** The worker for a new connection; null if none serves. */
  nextInTurn(): Worker | null {
    return this.#isStopping ? this.#spreading.busiest() : this.#spreading.nextInTurn()
  }

  // Workers

  /** Starts a worker in a seat. Resolves when it serves. */
  async #fill(seat: Seat): Promise<readonly Address[]> {
    const worker = this.#spawn((how) => this.#lost(worker, seat, how))
    seat.take(worker)
    return this.#launch(worker)
  }

  #spawn(onExit: (how: string) => void): Worker {
    const { clock, spawn } = this.#options
    const number = this.#freeNumber()
    const process = spawn({
      onMessage: (message) => {
        clock.refresh()
        worker.heardMs = clock.nowMs
        worker.line.receive(message)
      },
      onConnected: ({ id, pool }, connection) => worker.servers.set(id, { pool, connection, key: null }),
      onExit: (how) => {
        this.#forget(worker)
        onExit(how)
      },
    })
    const worker: Worker = new Worker(
      number,
      process,
      this.#answersTo(() => worker),
      clock,
    )
    this.#workers.set(number, worker)
    return worker
  }

  async #launch(worker: Worker): Promise<readonly Address[]> {
    const { work, standing, log } = this.#options
    try {
      const { number } = worker
      const addresses = await worker.line.ask('start', {
        ...{ number, work: work() },
        standing: [...standing],
        welcomed: [...this.#welcomed.values()],
      })
      if (worker.state === 'starting') worker.enter('serving')
      log.info(`${worker.subject} serves`)
      this.#spreading.settle()
      return addresses
    } catch (problem) {
      if (worker.state === 'starting') {
        worker.enter('stopping')
        worker.process.kill('SIGKILL')
      }
      throw problem instanceof LineDown ? new Error(`${worker.subject} ended before it served`) : problem
    }
  }

  #freeNumber(): number {
    for (let number = 1; number <= MAX_WORKER; number++) if (!this.#workers.has(number)) return number
    throw new Error(`there cannot be more than ${MAX_WORKER} workers`)
  }

  /** The process is gone: what it had goes back. */
  #forget(worker: Worker): void {
    worker.enter('gone')
    worker.line.hangUp()
    this.#workers.delete(worker.number)
    this.#options.onWorkerGone(worker.number)
    this.#clients.release([...worker.claims.claims()])
    this.noteDeparted(worker)
    // One that has ended by itself has closed its servers.
    const leftovers = [...worker.servers.values()]
    const stillHeld = this.#permits.left(
      worker,
      leftovers.map(({ pool }) => pool),
    )
    for (const leftover of leftovers) this.#options.leftovers.clear(leftover, () => stillHeld.giveBack(leftover.pool))
    if (this.#workers.size === 0) this.#isEmpty()
    this.#spreading.settle()
  }

  #lost(worker: Worker, seat: Seat, how: string): void {
    if (seat.worker !== worker || this.#isStopping) return
    this.noteLost()
    const { clock, log } = this.#options
    const delayMs = seat.lost(clock.nowMs, clock.nowMs - worker.startedMs)
    log.error(`${worker.subject} has ended (${how}): its clients are lost; another one starts in ${delayMs} ms`)
  }

  /** Called by the janitor. */
  sweep(): void {
    const { clock, log } = this.#options
    const { nowMs } = clock
    const isLate = nowMs - this.#sweptMs > LATE_SWEEP_MS
    this.#sweptMs = nowMs
    const silenceMs = this.#options.silenceMs()
    for (const worker of this.#workers.values()) {
      if (isLate) worker.heardMs = nowMs
      const patienceMs = worker.state === 'starting' ? Math.max(silenceMs, START_MS) : silenceMs
      if (silenceMs === 0 || nowMs - worker.heardMs <= patienceMs) continue
      log.error(`${worker.subject} has not been heard of for ${Math.round(nowMs - worker.heardMs)} ms: it is killed`)
      worker.heardMs = nowMs
      worker.process.kill('SIGKILL')
    }
    for (const seat of this.#seats) if (nowMs >= seat.dueMs) this.#refill(seat)
    this.#spreading.settle()
  }

  #refill(seat: Seat): void {
    seat.dueMs = Infinity
    // Its end is noticed, and leads to another try.
    this.#fill(seat).catch((problem: Error) =>
      this.#options.log.error(`a worker could not be started: ${problem.message}`),
    )
  }

  /** Has every worker do something, also one that starts. One that goes away meanwhile has nothing left to do. */
  everywhere(call: ControlCall): Promise<readonly unknown[]> {
    return this.#ask(FROM_THE_START, (worker) => worker.line.ask('control', call))
  }

  /** Other numbers of permits hold from now on. */
  resize(): void {
    this.#permits.resize()
  }

  /** Hands other settings to every worker. */
  async apply(settings: unknown): Promise<void> {
    await this.#ask(FROM_THE_START, (worker) => worker.line.ask('settings', settings))
  }

  /** Takes no new clients. Those who are there stay until they leave, or until all workers may stop. */
  beginEnd(): void {
    this.#isStopping = true
    for (const seat of this.#seats) seat.dueMs = Infinity
  }

  /** Resolves when no worker is left. */
  async ended(): Promise<void> {
    await Promise.all([...this.#workers.values()].map((worker) => worker.ended))
  }

  /** Replaces the workers one by one; each has its successor before it takes no more clients. */
  restart(graceMs: number): void {
    if (this.#restarting !== null) throw new PoolerError('restart-runs')
    const { log } = this.#options
    this.#restarting = this.#restart(graceMs)
      .then(
        () => log.info('all workers have been replaced'),
        (problem: Error) => log.error(`workers could not be replaced: ${problem.message}`),
      )
      .finally(() => {
        this.#restarting = null
      })
  }

  /** Resolves when the replacement that runs is over. */
  get restarting(): Promise<void> {
    return this.#restarting ?? Promise.resolve()
  }

  async #restart(graceMs: number): Promise<void> {
    for (const seat of this.#seats) {
      const before = seat.worker
      if (this.#isStopping) return
      try {
        await this.#fill(seat)
      } catch (problem) {
        // Whoever was to be replaced stays.
        if (before?.state === 'serving') seat.take(before)
        throw problem
      }
      if (before?.state !== 'serving') continue
      before.enter('draining')
      this.#spreading.settle()
      before.line.tell('drain', { graceMs })
      await before.ended
    }
  }

  #serving(): Worker[] {
    return [...this.#workers.values()].filter(({ state }) => state === 'serving')
  }

  // What workers say

  #answersTo(worker: () => Worker): Answers<ToPrimary> {
    return {
      beat: (beat) => {
        worker().beat = beat
        this.#spreading.beaten(worker())
        return null
      },
      claim: (claims) => this.#claim(worker(), claims),
      count: (claims) => {
        worker().claims.count(claims)
        this.#clients.count(claims)
        return null
      },
      release: (claims) => {
        worker().claims.release(claims)
        this.#clients.release(claims)
        return null
      },
      loginFailed: (place) => this.#options.failedLogins.failed(place),
      permitsOpen: ({ pool, database, user, keepsServers }) => {
        this.#permits.opened(worker(), pool, database, user, keepsServers)
        return null
      },
      permitsAsk: ({ pool, figures }) => {
        this.#permits.asked(worker(), pool, figures)
        return null
      },
      permitBack: ({ pool, figures }) => {
        this.#permits.gaveBack(worker(), pool, figures)
        return null
      },
      permitMissed: (pool) => {
        this.#permits.missed(worker(), pool)
        return null
      },
      permitsRefused: (pool) => this.#permits.refused(worker(), pool),
      permitsClose: (pool) => {
        this.#permits.closed(worker(), pool)
        return null
      },
      serverOpened: (backend) => {
        const server = worker().servers.get(backend.id)
        if (server !== undefined) server.key = backend
        return null
      },
      serverClosed: (id) => {
        worker().servers.get(id)?.connection?.letGo()
        worker().servers.delete(id)
        return null
      },
      totals: (totals) => {
        worker().totals = totals
        return null
      },
      accounts: (accounts) => {
        this.noteAccounts(worker(), accounts)
        return null
      },
      load: (load) => {
        worker().load = load
        this.#spreading.settle()
        return null
      },
      accepted: (load) => {
        this.#spreading.accepted(worker(), load)
        return null
      },
      gather: (topic) => this.gather(topic),
      workers: () => this.workers(),
      control: (call) => callOn(this.control, call),
      cancel: (key) => this.#cancel(key),
      welcomed: (welcomed) => {
        this.#welcomed.set(welcomed.how, welcomed)
        for (const other of this.#workers.values()) if (other !== worker()) other.line.tell('welcomed', welcomed)
        return null
      },
      schema: async (database) => {
        const sender = worker()
        await this.#ask(FROM_THE_START, (other) =>
          other === sender ? Promise.resolve(null) : other.line.ask('schema', database),
        )
        return null
      },
    }
  }

  #claim(worker: Worker, claims: readonly ClientClaim[]): ClientClaim | null {
    const full = this.#clients.tryClaim(claims)
    if (full === null) worker.claims.count(claims)
    return full
  }

  async #cancel(key: CancelKeyBytes): Promise<null> {
    const holder = this.#workers.get(key.worker)
    return holder ? holder.line.ask('cancel', key) : null
  }

  // The fleet as one

  protected get isEnding(): boolean {
    return this.#isStopping
  }

  protected everyone(): Iterable<Worker> {
    return this.#workers.values()
  }

  /** Asks every worker that has clients. One that goes away meanwhile has nothing to say any more. */
  protected askAll<Answer>(ask: (worker: Worker) => Promise<Answer>): Promise<Answer[]> {
    return this.#ask(ONCE_IT_SERVES, ask)
  }

  async #ask<Answer>(states: readonly WorkerState[], ask: (worker: Worker) => Promise<Answer>): Promise<Answer[]> {
    const asked = [...this.#workers.values()].filter(({ state }) => states.includes(state))
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

  async workers(): Promise<WorkerSnapshot[]> {
    const restarts = new Map(this.#seats.map((seat) => [seat.worker, seat.restarts]))
    const workers = [...this.#workers.values()].flatMap((worker) => worker.snapshot(restarts.get(worker) ?? 0) ?? [])
    // None of them takes new clients, though each is told by itself.
    return workers.map((worker) =>
      this.isEnding && worker.state === 'serving' ? { ...worker, state: 'draining' } : worker,
    )
  }

  /** A period of averages ends in all workers. Resolves with what has happened in it, all databases together. */
  async endPeriod(): Promise<Span> {
    const spans = await Promise.all(
      this.#serving().map(({ line }) => line.ask('endPeriod', null).catch(() => NOTHING_HAPPENED)),
    )
    return { ms: Math.max(0, ...spans.map(({ ms }) => ms)), totals: sumOf(spans.map(({ totals }) => totals)) }
  }

  // The end

  /** Tells all workers to end, and resolves when they have. */
  async stop(): Promise<void> {
    this.#isStopping = true
    for (const seat of this.#seats) seat.dueMs = Infinity
    if (this.#workers.size === 0) return
    const empty = new Promise<void>((resolve) => {
      this.#isEmpty = resolve
    })
    for (const worker of this.#workers.values()) {
      if (worker.state !== 'stopping') worker.enter('stopping')
      worker.line.tell('stop', null)
    }
    const killing = setTimeout(() => {
      for (const worker of this.#workers.values()) worker.process.kill('SIGKILL')
    }, STOP_MS)
    await empty
    clearTimeout(killing)
  }
}

const ONCE_IT_SERVES: readonly WorkerState[] = ['serving', 'draining']

/** For what it would not be told later, since it comes after its start order. */
const FROM_THE_START: readonly WorkerState[] = ['starting', ...ONCE_IT_SERVES]

/** Instead of an answer. */
const GONE = Symbol('gone')

/** By a worker that has gone away. */
const NOTHING_HAPPENED: Span = { ms: 0, totals: sumOf([]) }
