/** A fleet without processes and servers, with real permits, a clock driven by events, and messages that take time. */

import type { Clock } from '../../../src/base/clock.ts'
import type { SizesOf } from '../../../src/pool/permits/book.ts'
import type { ShareHolder } from '../../../src/pool/share.ts'
import { AskedPermits } from '../../../src/workers/asked-permits.ts'
import type { PoolFigures } from '../../../src/workers/messages.ts'
import { PermitDesk } from '../../../src/workers/permit-desk.ts'
import type { Counter } from '../../../src/workers/remote-pool.ts'

/** How long a message takes between processes, unless a fleet gives other times for its workers. */
const MESSAGE_MS = 0.2
/** How long it takes until a new server is ready, and until a closed one is gone. */
const OPEN_MS = 5
const CLOSE_MS = 1
/** The interval at which the servers of a dead worker disappear. */
const LEFTOVER_MS = 3

export class Events {
  nowMs = 1_000
  readonly #queue: { readonly atMs: number; readonly order: number; run(): void }[] = []
  #order = 0

  after(ms: number, run: () => void): void {
    const event = { atMs: this.nowMs + ms, order: this.#order++, run }
    let at = this.#queue.length
    while (at > 0 && (this.#queue[at - 1] as { atMs: number }).atMs > event.atMs) at--
    this.#queue.splice(at, 0, event)
  }

  /** Runs the events that are due within the next `ms`, and calls `check` after each. */
  run(ms: number, check: () => void = () => {}): void {
    const endMs = this.nowMs + ms
    for (let next = this.#queue[0]; next !== undefined && next.atMs <= endMs; next = this.#queue[0]) {
      this.#queue.shift()
      this.nowMs = next.atMs
      next.run()
      check()
    }
    this.nowMs = endMs
  }
}

/** The clock of one process, each with a different zero. */
class ProcessClock implements Clock {
  readonly #events: Events
  readonly #shiftMs: number

  constructor(events: Events, shiftMs: number) {
    this.#events = events
    this.#shiftMs = shiftMs
  }

  get nowMs(): number {
    return this.#events.nowMs + this.#shiftMs
  }

  refresh(): void {}

  behindMs(): number {
    return 0
  }

  wallMs(): number {
    return this.nowMs
  }
}

/** A worker's pool: how it treats its permits and its clients. */
export class ToyPool implements ShareHolder {
  readonly worker: ToyWorker
  readonly database: string
  readonly user: string
  readonly permits: AskedPermits
  readonly keepsServers = false
  readonly waiting: { readonly sinceMs: number; served(): void }[] = []
  /** When each idle server was last used, the latest last. */
  readonly idle: number[] = []
  opening = 0
  /** How many of the opening servers Postgres has accepted already. */
  letIn = 0
  busy = 0
  leaving = 0
  /** Permits that the primary has granted to this pool and that have not arrived here yet. */
  promised = 0
  hasClients = false
  isClosed = false
  /** The number of clients that were refused because Postgres has no room. */
  refused = 0

  constructor(worker: ToyWorker, database: string, user: string, permits: (pool: ToyPool) => AskedPermits) {
    this.worker = worker
    this.database = database
    this.user = user
    this.permits = permits(this)
  }

  get total(): number {
    return this.opening + this.busy + this.idle.length + this.leaving
  }

  get wanted(): number {
    return this.total + Math.max(0, Math.min(this.waiting.length - this.opening, 10 - this.opening))
  }

  get waitingClients(): number {
    return this.waiting.length
  }

  get fillsMinimum(): boolean {
    return this.hasClients && this.opening === 0
  }

  get waitingSinceMs(): number {
    return this.waiting[0]?.sinceMs ?? Infinity
  }

  get idleSinceMs(): number {
    return this.idle[0] ?? Infinity
  }

  onGranted(): void {
    if (this.wanted === this.total && !this.fillsMinimum) {
      this.permits.giveBack()
      return
    }
    this.opening++
    // Postgres decides whether to accept the server before the pool learns of it.
    this.#later(OPEN_MS / 2, () => {
      if (!this.worker.hasRoom) {
        this.opening--
        this.#refused()
        return
      }
      this.letIn++
      this.#later(OPEN_MS / 2, () => {
        this.letIn--
        this.opening--
        this.#free()
        this.permits.ask()
      })
    })
  }

  #refused(): void {
    this.permits.giveBack()
    if (this.total > 0) {
      this.permits.ask()
      return
    }
    this.permits.refused('53300', (isSharedOut) => {
      if (!isSharedOut) this.refused += this.waiting.splice(0).length
      this.permits.ask()
    })
  }

  onRecalled(): void {
    if (this.idle.shift() !== undefined) this.#leave()
  }

  /** A client wants a server. `served` is called when it gets one, which it then holds until `release`. */
  lease(served: () => void): void {
    this.hasClients = true
    if (this.idle.pop() !== undefined) {
      this.busy++
      served()
      return
    }
    this.waiting.push({ sinceMs: this.worker.clock.nowMs, served })
    this.permits.ask()
  }

  release(): void {
    this.busy--
    this.#free()
  }

  /** A client has left within its transaction, so its server cannot be reused. */
  lose(): void {
    this.busy--
    this.#leave()
    this.permits.ask()
  }

  /** The worker has no more use for the pool, which has neither servers nor waiting clients. A permit may be on its way here. */
  close(): void {
    this.isClosed = true
    this.promised = 0
    this.permits.close()
  }

  /** Its worker has died. Its servers will disappear by themselves. */
  orphan(): void {
    this.leaving = this.total
    this.promised = 0
    this.opening = 0
    this.busy = 0
    this.idle.length = 0
    this.waiting.length = 0
  }

  /** Does what the janitor does. */
  sweep(idleTimeoutMs: number): void {
    const { nowMs } = this.worker.clock
    while (this.idle.length > 0 && nowMs - this.idleSinceMs > idleTimeoutMs && this.total > this.permits.floor)
      this.onRecalled()
    this.permits.ask()
  }

  #free(): void {
    if (this.permits.mustYield() !== null) {
      this.#leave()
      this.permits.ask()
      return
    }
    const next = this.waiting.shift()
    if (next === undefined) this.idle.push(this.worker.clock.nowMs)
    else {
      this.busy++
      next.served()
    }
  }

  #leave(): void {
    this.leaving++
    this.#later(CLOSE_MS, () => {
      this.leaving--
      this.permits.giveBack()
    })
  }

  #later(ms: number, work: () => void): void {
    this.worker.later(ms, work)
  }
}

export class ToyWorker implements Counter {
  readonly clock: Clock
  readonly pools: ToyPool[] = []
  readonly #fleet: ToyFleet
  /** How long its messages take, in both directions. */
  readonly #messageMs: number
  #isAlive = true

  constructor(fleet: ToyFleet, shiftMs: number, messageMs: number) {
    this.#fleet = fleet
    this.#messageMs = messageMs
    this.clock = new ProcessClock(fleet.events, shiftMs)
  }

  get isAlive(): boolean {
    return this.#isAlive
  }

  later(ms: number, work: () => void): void {
    this.#fleet.events.after(ms, () => {
      if (this.#isAlive) work()
    })
  }

  pool(database: string, user: string): ToyPool {
    const known = this.pools.find((pool) => !pool.isClosed && pool.database === database && pool.user === user)
    if (known) return known
    const number = this.pools.length
    const { desk } = this.#fleet
    const minimum = () => this.#fleet.sizesOf('pool', database, user).min ?? 0
    this.#send(() => desk.opened(this, number, database, user))
    const line = {
      // Not a real promise, since that would be resolved only after all events have run.
      ask: () =>
        ({
          // biome-ignore lint/suspicious/noThenProperty: it replaces a promise
          then: (answered: (isSharedOut: boolean) => void) =>
            this.#send(() => {
              const isSharedOut = desk.refused(this, number)
              this.later(this.#messageMs, () => answered(isSharedOut))
            }),
        }) as unknown as Promise<never>,
      tell: (name: string, body: unknown) => {
        if (name === 'permitMissed') {
          this.#send(() => desk.missed(this, number))
          return
        }
        const { figures } = body as { readonly figures: PoolFigures }
        if (name === 'permitBack') this.#send(() => desk.gaveBack(this, number, figures))
        else if (name === 'permitsAsk') this.#send(() => desk.asked(this, number, figures))
        else this.#send(() => desk.closed(this, number))
      },
    }
    const pool = new ToyPool(
      this,
      database,
      user,
      (holder) => new AskedPermits({ pool: number, line, clock: this.clock, holder, minimum, onClosed: () => {} }),
    )
    this.pools.push(pool)
    return pool
  }

  ready(pool: number): number {
    const { busy = 0, idle = [] } = this.pools[pool] ?? {}
    return busy + idle.length
  }

  /** Whether Postgres accepts one more server. */
  get hasRoom(): boolean {
    return this.#fleet.letIn < this.#fleet.room
  }

  /** The worker is killed: it does nothing more, and the primary learns of it. Its servers disappear later, one by one. */
  die(): void {
    this.#isAlive = false
    const { events, desk } = this.#fleet
    const left = this.pools.flatMap((pool, number) => {
      pool.orphan()
      return Array.from({ length: pool.leaving }, () => number)
    })
    events.after(this.#messageMs, () => {
      const stillHeld = desk.left(this, left)
      left.forEach((number, index) => {
        events.after((index + 1) * LEFTOVER_MS, () => {
          ;(this.pools[number] as ToyPool).leaving--
          stillHeld.giveBack(number)
        })
      })
    })
  }

  #send(arrived: () => void): void {
    // Messages that a worker has sent before it died still arrive, before the news of its death.
    this.#fleet.events.after(this.#messageMs, arrived)
  }

  // From the primary

  granted(pool: number, usesReserve: boolean): void {
    const found = this.pools[pool] as ToyPool
    if (this.#isAlive && !found.isClosed) found.promised++
    this.later(this.#messageMs, () => {
      if (found.isClosed) return
      found.promised--
      found.permits.onGranted(usesReserve)
    })
  }

  recalled(pool: number, because: string, sparedMs: number | null, isTurn: boolean): void {
    this.later(this.#messageMs, () => this.#open(pool)?.permits.onRecalled(because, sparedMs, isTurn))
  }

  kept(pool: number): void {
    this.later(this.#messageMs, () => this.#open(pool)?.permits.onKept())
  }

  floored(pool: number, floor: number): void {
    this.later(this.#messageMs, () => {
      const found = this.#open(pool)
      if (found) found.permits.floor = floor
    })
  }

  polled(pools: readonly number[]): void {
    this.later(this.#messageMs, () => {
      for (const pool of pools) this.#open(pool)?.permits.tellFigures()
    })
  }

  #open(number: number): ToyPool | undefined {
    const pool = this.pools[number]
    return pool?.isClosed ? undefined : pool
  }
}

export class ToyFleet {
  readonly events = new Events()
  readonly desk: PermitDesk
  readonly workers: ToyWorker[] = []
  readonly sizesOf: SizesOf
  /** How many servers Postgres accepts. */
  room = Infinity
  readonly #messagesMs: readonly number[]
  #started = 0

  /** @param messagesMs how long messages take from and to the first worker, the second, and so on; repeated if there are more workers */
  constructor(sizesOf: SizesOf, workers: number, messagesMs: readonly number[] = [MESSAGE_MS]) {
    this.sizesOf = sizesOf
    this.#messagesMs = messagesMs
    const clock = new ProcessClock(this.events, 0)
    this.desk = new PermitDesk({ clock, sizesOf, later: (ms, work) => this.events.after(ms, work) })
    for (let left = workers; left > 0; left--) this.start()
  }

  start(): ToyWorker {
    const messageMs = this.#messagesMs[this.#started % this.#messagesMs.length] as number
    const worker = new ToyWorker(this, 7_919 * ++this.#started, messageMs)
    this.workers.push(worker)
    return worker
  }

  get alive(): ToyWorker[] {
    return this.workers.filter(({ isAlive }) => isAlive)
  }

  /** The number of servers that Postgres has accepted and that are not gone yet. */
  get letIn(): number {
    let count = 0
    for (const { pools } of this.alive)
      for (const { letIn, busy, idle, leaving } of pools) count += letIn + busy + idle.length + leaving
    return count
  }

  /** The number of servers that Postgres would see. */
  servers(is: (pool: ToyPool) => boolean = () => true): number {
    let total = 0
    for (const { pools } of this.workers) for (const pool of pools) if (is(pool)) total += pool.total
    return total
  }

  sweep(idleTimeoutMs = Infinity): void {
    for (const { pools } of this.alive) for (const pool of pools) if (!pool.isClosed) pool.sweep(idleTimeoutMs)
  }
}
