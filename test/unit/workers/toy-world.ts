/** A toy fleet with clients that hold servers until told to release them, and checks of what must hold, for property tests. */

import { ToyFleet, type ToyPool } from './toy-fleet.ts'

const DATABASES = ['app', 'shop']
const USERS = ['ada', 'bob']

export interface Limits {
  pool: number
  reserve: number
  min: number
  database: number
  user: number
}

/** One limit on servers, as Postgres would count them. */
interface Bound {
  readonly name: string
  /** 0: no limit. */
  max(limits: Limits): number
  counts(pool: ToyPool): boolean
}

const ofPool = ({ pool, reserve }: Limits) => (pool === 0 ? 0 : pool + reserve)

const BOUNDS: readonly Bound[] = [
  ...DATABASES.map((name) => ({
    name,
    max: ({ database }: Limits) => database,
    counts: (toy: ToyPool) => toy.database === name,
  })),
  ...USERS.map((name) => ({ name, max: ({ user }: Limits) => user, counts: (toy: ToyPool) => toy.user === name })),
  ...DATABASES.flatMap((database) =>
    USERS.map((user) => ({
      name: `${database}/${user}`,
      max: ofPool,
      counts: (toy: ToyPool) => toy.database === database && toy.user === user,
    })),
  ),
]

export class World {
  readonly fleet: ToyFleet
  readonly limits: Limits
  /** For each server that a client holds, its pool. */
  readonly leases: ToyPool[] = []
  waiting = 0
  /** For limits that were lowered: how many servers still exist under them, or may be opened with permits that were granted before. */
  readonly #surplus = new Map<string, number>()

  /** @param messagesMs see `ToyFleet` */
  constructor(limits: Limits, workers: number, messagesMs?: readonly number[]) {
    this.limits = { ...limits }
    const sizesOf = (kind: 'pool' | 'database' | 'user') => {
      const { pool, reserve, min } = this.limits
      if (kind === 'pool') return { max: pool, reserve, reserveTimeoutMs: 200, min: Math.min(min, pool || min) }
      return { max: kind === 'database' ? this.limits.database : this.limits.user }
    }
    this.fleet = new ToyFleet(sizesOf, workers, messagesMs)
  }

  pool(who: number): ToyPool | null {
    const { alive } = this.fleet
    const worker = alive[who % alive.length]
    return worker?.pool(DATABASES[(who >> 4) % 2] as string, USERS[(who >> 5) % 2] as string) ?? null
  }

  // Actions

  come(who: number): void {
    const pool = this.pool(who)
    if (pool === null) return
    this.waiting++
    pool.lease(() => {
      this.waiting--
      this.leases.push(pool)
    })
  }

  finish(who: number): void {
    const pool = this.#leave(who)
    if (pool?.worker.isAlive) pool.release()
  }

  /** The client leaves, and its server cannot be used again. */
  breakOff(who: number): void {
    const pool = this.#leave(who)
    if (pool?.worker.isAlive) pool.lose()
  }

  withdraw(who: number): void {
    if (this.pool(who)?.waiting.shift() !== undefined) this.waiting--
  }

  /** All waiting clients of one database and user give up. */
  withdrawAll(who: number): void {
    const asked = this.pool(who)
    for (const { pools } of this.fleet.alive)
      for (const pool of pools)
        if (pool.database === asked?.database && pool.user === asked.user) this.waiting -= pool.waiting.splice(0).length
  }

  die(who: number): void {
    const { alive } = this.fleet
    if (alive.length < 2) return
    const worker = alive[who % alive.length] as (typeof alive)[number]
    for (const pool of worker.pools) this.waiting -= pool.waiting.length
    for (let at = this.leases.length - 1; at >= 0; at--)
      if (this.leases[at]?.worker === worker) this.leases.splice(at, 1)
    worker.die()
  }

  /** A pool without servers and clients is closed. */
  close(who: number): void {
    const pool = this.pool(who)
    if (pool !== null && pool.total === 0 && pool.waiting.length === 0) pool.close()
  }

  start(): void {
    if (this.fleet.alive.length < 5) this.fleet.start()
  }

  grow(who: number): void {
    const names = ['pool', 'database', 'user'] as const
    const name = names[who % 3] as (typeof names)[number]
    if (this.limits[name] > 0) this.reload({ [name]: this.limits[name] + 1 })
  }

  /** Raised limits apply at once. Under lowered limits, pools with too many servers give them up over time. */
  reload(limits: Partial<Limits>): void {
    Object.assign(this.limits, limits)
    const counts = this.#counts()
    for (const [at, { name, max: maxOf }] of BOUNDS.entries()) {
      const max = maxOf(this.limits)
      const permitted = counts[at] as number
      if (max > 0 && permitted > max) this.#surplus.set(name, permitted)
      else this.#surplus.delete(name)
    }
    this.fleet.desk.resize()
  }

  // What must hold

  /** Checks the limits by what Postgres would count. Under a lowered limit, a surplus must only shrink. */
  check = (): void => {
    const counts = this.#counts()
    for (const [at, { name, max: maxOf }] of BOUNDS.entries()) {
      const max = maxOf(this.limits)
      if (max === 0) continue
      const permitted = counts[at] as number
      const allowed = this.#surplus.get(name) ?? max
      if (permitted > allowed) throw new Error(`${name} has ${permitted} servers, and may have ${allowed}`)
      if (allowed === max) continue
      if (permitted > max) this.#surplus.set(name, permitted)
      else this.#surplus.delete(name)
    }
  }

  /** No client arrives, and none releases its server: in the end, no client must wait while there is room or while servers are idle. */
  rest(): void {
    for (let round = 0; round < 20; round++) {
      this.fleet.events.run(150, this.check)
      this.fleet.sweep()
    }
    const counts = this.#counts()
    for (const { pools } of this.fleet.alive)
      for (const pool of pools) {
        if (pool.waiting.length === 0) continue
        const full = BOUNDS.filter((bound, at) => {
          const max = bound.max(this.limits)
          return bound.counts(pool) && max > 0 && (counts[at] as number) >= max
        })
        if (full.length === 0) throw new Error(`a client of ${nameOf(pool)} waits though there is room`)
        if (full.every((bound) => this.#hasIdle(bound)))
          throw new Error(
            `a client of ${nameOf(pool)} waits though servers are idle under ${full.map(({ name }) => name)}`,
          )
      }
  }

  /** Every waiting client must get a server if all clients that hold one release it (with `isOneKept`, all but one). */
  serveAll(isOneKept: boolean, idleTimeoutMs = 100): void {
    const kept = isOneKept ? 1 : 0
    for (let round = 0; round < 400; round++) {
      this.fleet.events.run(25, this.check)
      this.fleet.sweep(idleTimeoutMs)
      for (let left = this.leases.length; left > kept; left--) this.finish(kept)
      if (this.waiting === 0 && this.leases.length <= kept) return
    }
    throw new Error(`${this.waiting} clients wait for ever`)
  }

  drain(idleTimeoutMs?: number): void {
    this.serveAll(false, idleTimeoutMs)
    // Let messages that are under way arrive.
    this.fleet.events.run(300, this.check)
    this.balance()
  }

  /** All clients leave, the waiting ones first. */
  leave(): void {
    for (const { pools } of this.fleet.alive) for (const pool of pools) this.waiting -= pool.waiting.splice(0).length
    for (let round = 0; round < 20; round++) {
      this.fleet.events.run(25, this.check)
      this.fleet.sweep()
    }
    while (this.leases.length > 0) this.finish(0)
    this.fleet.events.run(300, this.check)
    this.balance()
  }

  /** No client waits or holds a server, and nothing is under way: the books must agree. */
  balance(): void {
    const { desk } = this.fleet
    if (desk.held !== this.fleet.servers())
      throw new Error(`${desk.held} permits are out for ${this.fleet.servers()} servers`)
    for (const { name, recalled, missing, surplus } of desk.limits)
      if (recalled > 0 || missing > 0 || surplus > 0)
        throw new Error(
          `${name}: ${recalled} are recalled, ${missing} missing and ${surplus} too many when all is done`,
        )
  }

  /** For each bound, the servers that Postgres sees under it, or may see because of permits that were already granted. */
  #counts(): number[] {
    const counts = BOUNDS.map(() => 0)
    for (const { pools } of this.fleet.workers)
      for (const pool of pools) {
        const permitted = pool.total + pool.promised
        if (permitted === 0) continue
        for (let at = 0; at < BOUNDS.length; at++)
          if (BOUNDS[at]?.counts(pool)) counts[at] = (counts[at] ?? 0) + permitted
      }
    return counts
  }

  #leave(who: number): ToyPool | undefined {
    return this.leases.splice(who % Math.max(this.leases.length, 1), 1)[0]
  }

  #hasIdle({ counts }: Bound): boolean {
    return this.fleet.alive.some(({ pools }) => pools.some((pool) => counts(pool) && pool.idle.length > 0))
  }
}

function nameOf({ database, user }: ToyPool): string {
  return `${database}/${user}`
}
