/** A worker's end of the line to its primary, through which all workers share their limits, permits and console. */

import type { Clock } from '../base/clock.ts'
import type { Address } from '../net/channel.ts'
import type { Span, Totals } from '../pool/averages.ts'
import type { Permits } from '../pool/permits/holder.ts'
import type { ShareHolder } from '../pool/share.ts'
import type { Server } from '../server/server.ts'
import { type PackedAccounts, unpackAccounts } from './accounts.ts'
import { type Admissions, type ClientClaim, ClientCounts, type MaxOf } from './admissions.ts'
import { AskedPermits } from './asked-permits.ts'
import { type ControlCall, passedOn } from './control.ts'
import type { Fleet } from './fleet.ts'
import { type Answers, type Carrier, Line } from './line.ts'
import type {
  BackendTls,
  Beat,
  CancelKeyBytes,
  Gatherable,
  ServerConnected,
  StartOrder,
  ToPrimary,
  Topic,
  ToWorker,
  Welcomed,
} from './messages.ts'
import { unpack } from './packing.ts'

/** What the process does when its primary tells it to. */
export interface MemberListener {
  /** Builds the pooler. Resolves once clients are accepted. */
  onStart(order: StartOrder): Promise<readonly Address[]>
  gather(topic: Topic): Promise<Gatherable[Topic]>
  control(call: ControlCall): Promise<unknown>
  onSettings(settings: unknown): Promise<void>
  endPeriod(): Span
  onCancel(key: CancelKeyBytes, over: () => void): void
  onSchemaChanged(database: string): Promise<void>
  onWelcomed(welcomed: Welcomed): Promise<void>
  onAccepts(accepts: boolean, heard: number): void
  onDrain(graceMs: number): void
  onStop(): void
}

export class Member {
  readonly line: Line<ToPrimary, ToWorker>
  readonly fleet: Fleet
  readonly #clock: Clock
  readonly #permits = new Map<number, AskedPermits>()
  #lastPool = 0

  constructor(carrier: Carrier, clock: Clock, listener: MemberListener) {
    this.#clock = clock
    this.line = new Line(carrier, answersOf(listener, this.#permits))
    this.fleet = new WholeFleet(this.line)
  }

  /** Opens the permits of a pool that is being created. */
  openPermits(database: string, user: string, holder: ShareHolder, minimum: () => number): Permits {
    const pool = ++this.#lastPool
    const permits = new AskedPermits({
      ...{ pool, line: this.line, clock: this.#clock, holder, minimum },
      onClosed: () => this.#permits.delete(pool),
    })
    this.#permits.set(pool, permits)
    this.line.tell('permitsOpen', { pool, database, user, keepsServers: holder.keepsServers })
    return permits
  }

  admissions(maxOf: MaxOf): Admissions {
    return new AskedAdmissions(this.line, maxOf)
  }

  /** Passes on a cancel request whose key belongs to another worker. */
  forwardCancel(worker: number, pid: number, secret: Buffer, over: () => void): void {
    this.line.ask('cancel', { worker, pid, secret: secret.toString('hex') }).then(over, over)
  }

  /** Reports a failed login. `done` receives for how many milliseconds the error is held back. */
  loginFailed(place: string, done: (delayMs: number) => void): void {
    // If the primary is gone, this process ends, and its clients with it.
    this.line.ask('loginFailed', place).then(done, () => {})
  }

  /** Reports that tables have changed. Calls `known` when all workers know. */
  schemaChanged(database: string, known: () => void): void {
    this.line.ask('schema', database).then(known, known)
  }

  welcomed(welcomed: Welcomed): void {
    this.line.tell('welcomed', welcomed)
  }

  /**
   * Returns the message about a connected server that is sent to the primary with a handle of its connection; null if the server has no permit
   * of the primary.
   */
  serverConnected({ id }: Server, permits: Permits): ServerConnected | null {
    return permits instanceof AskedPermits ? { connected: { id, pool: permits.pool } } : null
  }

  serverOpened(server: Server): void {
    const { id, peer, pid, cancelKey } = server
    const secret = cancelKey.toString('hex')
    this.line.tell('serverOpened', { id, address: peer, pid, secret, tls: tlsOf(server) })
  }

  serverClosed({ id }: Server): void {
    this.line.tell('serverClosed', id)
  }

  tellAccepted(connections: number): void {
    this.line.tell('accepted', connections)
  }

  tellLoad(connections: number): void {
    this.line.tell('load', connections)
  }

  beat(beat: Beat, totals: ReadonlyMap<string, Totals>): void {
    this.line.tell('beat', beat)
    this.line.tell('totals', totals)
  }

  /** Sent before the process ends. */
  lastWord(accounts: PackedAccounts): void {
    this.line.tell('accounts', accounts)
  }
}

function tlsOf({ tls, encryption, address }: Server): BackendTls | null {
  if (tls === '' || encryption === null) return null
  const { verifies, isDirect } = encryption
  return { host: address.host, verifies, isDirect }
}

function answersOf(listener: MemberListener, permits: ReadonlyMap<number, AskedPermits>): Answers<ToWorker> {
  return {
    start: (order) => listener.onStart(order),
    gather: (topic) => listener.gather(topic),
    control: (call) => listener.control(call),
    settings: async (settings) => {
      await listener.onSettings(settings)
      return null
    },
    endPeriod: () => listener.endPeriod(),
    cancel: (key) => new Promise((resolve) => listener.onCancel(key, () => resolve(null))),
    schema: async (database) => {
      await listener.onSchemaChanged(database)
      return null
    },
    welcomed: async (welcomed) => {
      await listener.onWelcomed(welcomed)
      return null
    },
    accept: ({ accepts, heard }) => {
      listener.onAccepts(accepts, heard)
      return null
    },
    permitGranted: ({ pool, usesReserve }) => {
      permits.get(pool)?.onGranted(usesReserve)
      return null
    },
    permitRecalled: ({ pool, because, sparedMs, isTurn }) => {
      permits.get(pool)?.onRecalled(because, sparedMs, isTurn)
      return null
    },
    permitsKept: (pool) => {
      permits.get(pool)?.onKept()
      return null
    },
    permitFloor: ({ pool, floor }) => {
      const found = permits.get(pool)
      if (found) found.floor = floor
      return null
    },
    permitsPoll: (pools) => {
      for (const pool of pools) permits.get(pool)?.tellFigures()
      return null
    },
    drain: ({ graceMs }) => {
      listener.onDrain(graceMs)
      return null
    },
    stop: () => {
      listener.onStop()
      return null
    },
  }
}

/** Has the primary admit clients, and counts them here too, for SHOW. */
class AskedAdmissions implements Admissions {
  readonly #line: Line<ToPrimary, ToWorker>
  readonly #maxOf: MaxOf
  readonly #own = new ClientCounts(() => Infinity)

  constructor(line: Line<ToPrimary, ToWorker>, maxOf: MaxOf) {
    this.#line = line
    this.#maxOf = maxOf
  }

  claim(claims: readonly ClientClaim[], done: (full: ClientClaim | null) => void): void {
    if (this.#areAllUnlimited(claims)) {
      this.#own.count(claims)
      this.#line.tell('count', claims)
      done(null)
      return
    }
    this.#line.ask('claim', claims).then(
      (full) => {
        if (full === null) this.#own.count(claims)
        done(full)
      },
      // If the primary is gone, this process ends, and its clients with it.
      () => {},
    )
  }

  look(claims: readonly ClientClaim[], done: (full: ClientClaim | null) => void): void {
    if (this.#areAllUnlimited(claims)) done(null)
    else this.#line.ask('look', claims).then(done, () => {})
  }

  #areAllUnlimited(claims: readonly ClientClaim[]): boolean {
    return claims.every((claim) => this.#maxOf(claim) === Infinity)
  }

  release(claims: readonly ClientClaim[]): void {
    this.#own.release(claims)
    this.#line.tell('release', claims)
  }

  used(limit: ClientClaim['limit'], name: string): number {
    return this.#own.used(limit, name)
  }

  names(limit: ClientClaim['limit']): Iterable<string> {
    return this.#own.names(limit)
  }
}

/** What the console of any worker shows: all workers. */
class WholeFleet implements Fleet {
  readonly #line: Line<ToPrimary, ToWorker>
  readonly control = passedOn((call) => this.#line.ask('control', call))

  constructor(line: Line<ToPrimary, ToWorker>) {
    this.#line = line
  }

  async clients() {
    return unpack(await this.#gather('clients'))
  }

  newcomers() {
    return this.#gather('newcomers')
  }

  servers() {
    return this.#gather('servers')
  }

  transactions() {
    return this.#gather('transactions')
  }

  async pools() {
    return unpack(await this.#gather('pools'))
  }

  async databases() {
    return unpack(await this.#gather('databases'))
  }

  users() {
    return this.#gather('users')
  }

  peers() {
    return this.#gather('peers')
  }

  names() {
    return this.#gather('names')
  }

  zones() {
    return this.#gather('zones')
  }

  memory() {
    return this.#gather('memory')
  }

  stats() {
    return this.#gather('stats')
  }

  latencies() {
    return this.#gather('latencies')
  }

  lists() {
    return this.#gather('lists')
  }

  async accounts() {
    return unpackAccounts(await this.#gather('accounts'))
  }

  vitals() {
    return this.#gather('vitals')
  }

  state() {
    return this.#gather('state')
  }

  circumstances() {
    return this.#gather('circumstances')
  }

  workers() {
    return this.#line.ask('workers', null)
  }

  async #gather<Name extends Topic>(topic: Name): Promise<Gatherable[Name]> {
    return (await this.#line.ask('gather', topic)) as Gatherable[Name]
  }
}
