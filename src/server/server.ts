/** One connection to Postgres: dialled, logged in, leased in turn, closed. It tells its pool of every move. */

import type { Clock } from '../base/clock.ts'
import type { Ids } from '../base/ids.ts'
import { invariant } from '../base/invariant.ts'
import { Link, type Linked } from '../base/list.ts'
import type { Log, LogFields } from '../base/log.ts'
import { mayFollow, type StateRow } from '../base/state-rows.ts'
import type { Address, Channel, ChannelListener } from '../net/channel.ts'
import { describeAddress } from '../net/unix-sockets.ts'
import { PoolerError } from '../problems.ts'
import { decodeParameterStatus, STATUS_IDLE } from '../wire/backend.ts'
import { Frames } from '../wire/frames.ts'
import { TERMINATE } from '../wire/frontend.ts'
import { MAX_CHORE_REPLY_BYTES } from '../wire/limits.ts'
import type { Notice } from '../wire/notices.ts'
import { BACKEND } from '../wire/types.ts'
import { adviceOn } from './advice.ts'
import { CHORE_NEEDS } from './chore.ts'
import type { ServerEncryption } from './encryption.ts'
import { InFlight } from './in-flight.ts'
import { Ledger } from './ledger.ts'
import type { LoginResult } from './login.ts'
import { type OpeningContext, type OpeningOwner, ServerOpening } from './opening.ts'
import { OutsideLease, type OutsideLeaseOwner, type RestoreListener } from './outside-lease.ts'
import type { Change, Profile, Tracked } from './profile.ts'
import { Recording } from './recording.ts'
import type { SchemaVersion } from './schema-version.ts'
import { ServerSettings } from './server-settings.ts'
import type { StatementRegistry } from './statement-registry.ts'
import { ServerStatements } from './statements.ts'
import { SERVER, type ServerState } from './states.ts'
import type { Tenant } from './tenant.ts'
import { UnseenSettings } from './unseen-settings.ts'

/** The pool. */
export interface ServerOwner {
  onServerMoved(server: Server, from: ServerState, to: ServerState): void
  /** It is connected, and Postgres knows nothing of it yet. The login follows with `begin`. */
  onServerConnected(server: Server, begin: () => void): void
  onServerReady(server: Server, login: LoginResult): void
  onServerFailed(server: Server, problem: Notice): void
  /** Its connection is gone, and nothing was said of it: what has ended it may have ended others, which do not show it yet. */
  onServerLost(server: Server): void
}

/** What all servers of one pool share. */
export interface ServerContext extends OpeningContext {
  readonly ids: Ids
  readonly clock: Clock
  readonly log: Log
  /** As clients name it. */
  readonly database: string
  /** Where the next server is opened. */
  nextAddress(): Address
  readonly tracked: Tracked
  readonly registry: StatementRegistry
  readonly schema: SchemaVersion
  maxPacketBytes(): number
  logsConnections(): boolean
  /** One that could not be opened is told of in any case. */
  logsDisconnections(): boolean
  /** Nobody is read for now. */
  isSuspended(): boolean
  /** One of them has taken all that was written to it, while nobody is read. */
  onTaken(): void
  /** Asked for each new connection; null: it is not encrypted. */
  encryption(address: Address): ServerEncryption | null
  readonly owner: ServerOwner
}

export class Server implements ChannelListener, OpeningOwner, OutsideLeaseOwner, Linked<Server> {
  readonly id: number
  readonly link = new Link<Server>()
  readonly context: ServerContext
  /** Where it is, as the settings say. */
  readonly address: Address
  readonly frames: Frames
  readonly ledger = new Ledger()
  readonly inFlight = new InFlight()
  readonly unseen = new UnseenSettings()
  readonly statements: ServerStatements
  readonly recording = new Recording()
  readonly startedMs: number
  readonly startedWallMs: number
  /** What it was asked for when it was opened: settings may say something else since. */
  encryption: ServerEncryption | null = null
  // They begin as numbers: V8 would make an object of every time that is put where `undefined` was.
  /** When it entered its state. */
  sinceMs = 0
  /** When it was last given back. */
  usedMs = 0
  /** When it was last known to answer. */
  checkedMs = 0
  /** The transaction status of its last ReadyForQuery. */
  status = STATUS_IDLE
  readonly settings: ServerSettings
  tenant: Tenant | null = null
  /** The id of the client that holds it, or has held it while it is not idle again; 0 for none. For the log. */
  clientId = 0
  /** Why it must not be used again once it is free; null while it may. */
  condemned: string | null = null
  /** Cancel requests on their way to it. While there are any it is not used again. */
  cancels = 0
  pid = 0
  cancelKey: Buffer = Buffer.alloc(0)
  #state: StateRow<ServerState> = SERVER.dialing
  #stops = 0
  /** The channel has told its end. */
  #isDisconnected = false
  #channel: Channel | null = null
  /** While it is dialing and logging in. */
  #opening: ServerOpening | null = null
  #resetAfterCancels = ''
  readonly #outsideLease = new OutsideLease(this)

  constructor(context: ServerContext) {
    this.context = context
    this.address = context.nextAddress()
    this.id = context.ids.take()
    this.frames = new Frames(MAX_CHORE_REPLY_BYTES)
    this.statements = new ServerStatements(context.registry, context.schema)
    this.settings = new ServerSettings(context.tracked)
    this.startedMs = context.clock.nowMs
    this.startedWallMs = context.clock.wallMs()
    this.sinceMs = this.startedMs
    this.usedMs = this.startedMs
    this.checkedMs = this.startedMs
  }

  get state(): ServerState {
    return this.#state.name
  }

  /** It is not used any more, and whoever held it has been told. */
  get isOver(): boolean {
    return this.#state === SERVER.closing || this.#state === SERVER.closed
  }

  /** What its settings are, as far as they are known. */
  get profile(): Profile {
    return this.settings.profile
  }

  /** Only once connected. */
  get channel(): Channel {
    if (this.#channel === null) invariant(false, `server ${this.id} has no connection yet`)
    return this.#channel
  }

  /** Where it is connected, or will be. */
  get peer(): Address {
    return this.#channel?.peer ?? this.address
  }

  /** Of what was written to it, and the kernel has not taken yet. */
  get owedBytes(): number {
    return this.#channel?.owedBytes ?? 0
  }

  get tls(): string {
    return this.#channel?.tls ?? ''
  }

  get local(): Address {
    return this.#channel?.local ?? { host: '', port: 0 }
  }

  /** Free to go back: outside a transaction, nothing owed. */
  get isClean(): boolean {
    return this.status === STATUS_IDLE && this.ledger.isClear && this.frames.isAtBoundary
  }

  get subject(): string {
    const { database, identity } = this.context
    return `S-0x${this.id.toString(16)}: ${database}/${identity.user}@${describeAddress(this.peer)}`
  }

  /** What the log says about it, and about whose it is. */
  get logFields(): LogFields {
    return { subject: this.subject, client: this.clientId || undefined }
  }

  dial(): void {
    this.#opening = new ServerOpening(this, this.#outsideLease)
    this.#opening.dial()
  }

  /** idle or aligning → leased. */
  lend(tenant: Tenant): void {
    this.tenant = tenant
    this.frames.limit = this.context.maxPacketBytes()
    this.#enter(SERVER.leased)
  }

  /**
   * idle → aligning: makes the changes in one round trip. On success the server's profile holds them as Postgres writes them, in
   * `values` too, and the caller lends the server or `finishAligning`s. `gone` is called instead if the server dies meanwhile.
   */
  align(
    changes: readonly Change[],
    done: (error: Notice | null, values: ReadonlyMap<string, string>) => void,
    gone: (notice: Notice) => void,
  ): void {
    this.#enter(SERVER.aligning)
    this.#outsideLease.align(changes, done, gone)
  }

  /** leased → restoring: runs a statement of ours for a session that keeps the server, and lends it to itself again. */
  restore(sql: string, listener: RestoreListener): void {
    this.tenant = null
    this.frames.limit = MAX_CHORE_REPLY_BYTES
    this.#enter(SERVER.restoring)
    this.#outsideLease.restore(sql, listener)
  }

  /** aligning → idle: nobody wants it after all. */
  finishAligning(): void {
    this.#enter(SERVER.idle)
  }

  /** idle → checking → idle, or closed if the query fails. */
  check(sql: string): void {
    this.#enter(SERVER.checking)
    this.#outsideLease.check(sql, () => {
      this.checkedMs = this.context.clock.nowMs
      this.#enter(SERVER.idle)
    })
  }

  /** leased → (canceling) → (cleaning) → idle. The pool has seen to it that the server is clean. */
  giveBack(resetSql: string): void {
    if (!this.isClean) invariant(false, `server ${this.id} was returned with debts`)
    this.tenant = null
    // Outside a lease messages are held whole.
    this.frames.limit = MAX_CHORE_REPLY_BYTES
    this.usedMs = this.context.clock.nowMs
    this.checkedMs = this.usedMs
    if (this.cancels > 0) {
      this.#resetAfterCancels = resetSql
      this.#enter(SERVER.canceling)
      return
    }
    this.#cleanOrIdle(resetSql)
  }

  /** A cancel request is being sent to it. */
  cancelBegins(): void {
    this.cancels++
  }

  /** A cancel request has arrived or failed: from now on nothing of it can hit the next tenant. */
  cancelEnds(): void {
    this.cancels--
    if (this.cancels === 0 && this.#state === SERVER.canceling) this.#cleanOrIdle(this.#resetAfterCancels)
  }

  #cleanOrIdle(resetSql: string): void {
    if (resetSql === '') {
      this.#freed()
      return
    }
    this.#enter(SERVER.cleaning)
    this.#outsideLease.reset(resetSql, () => this.#freed())
  }

  #freed(): void {
    this.clientId = 0
    this.#enter(SERVER.idle)
  }

  /** What a command tag says about the state of the session on the server. */
  noteTag(tag: string): void {
    if (tag === 'DISCARD ALL' || tag === 'DEALLOCATE ALL') this.statements.clear()
    this.settings.noteTag(tag)
  }

  /** Must not be used again: closed as soon as it is free. Only a lease keeps it for now; whoever it is promised to gets another one. */
  condemn(reason: string): void {
    if (this.isOver) return
    this.condemned ??= reason
    if (this.#state !== SERVER.leased && this.#state !== SERVER.restoring) this.close(reason)
  }

  /** It is of no use: it does not answer, or not as it should. While it is opened that is a failure to open it, after which there is a pause. */
  giveUp(reason: string, notice?: Notice): void {
    if (this.#opening !== null)
      this.onOpeningFailed(notice ?? new PoolerError('server-login-failing', { error: reason }))
    else this.close(reason, notice)
  }

  /** Ends the connection. Whoever holds it is told `notice`. */
  close(reason: string, notice: Notice = new PoolerError('server-crashed')): void {
    this.#end(reason, notice, 'sound')
  }

  /** @param condition a doubtful connection is cut off; otherwise we wait until the backend has left too, since it counts until then */
  #end(reason: string, notice: Notice, condition: 'sound' | 'doubtful'): void {
    if (this.isOver) return
    const opening = this.#opening
    if (opening !== null || this.context.logsDisconnections()) this.#logEnd(reason)
    this.#opening = null
    opening?.abandon()
    const channel = this.#channel
    if (channel?.isOpen) {
      if (opening === null && this.isClean) this.send(TERMINATE)
      if (condition === 'sound') channel.close()
      else channel.destroy()
    }
    const tenant = this.tenant
    this.tenant = null
    this.ledger.abandon()
    this.statements.clear()
    this.#enter(SERVER.closing)
    this.context.ids.giveBack(this.id)
    tenant?.onServerGone(notice)
    this.#outsideLease.abandon(notice)
    if (channel === null || this.#isDisconnected) this.#enter(SERVER.closed)
  }

  #logEnd(reason: string): void {
    const { log, clock } = this.context
    const ageS = Math.floor((clock.nowMs - this.startedMs) / 1000)
    log.info(`closing because: ${reason} (age=${ageS}s)`, { ...this.logFields, hint: adviceOn(reason) })
  }

  // Channel

  onRead(buffer: Buffer, start: number, end: number): void {
    this.context.clock.refresh()
    try {
      if (this.tenant !== null) this.tenant.onReplies(buffer, start, end)
      else this.#readOutsideLease(buffer, start, end)
    } catch (error) {
      this.#break(error)
    }
  }

  onDrained(): void {
    this.guard(() => {
      this.tenant?.onServerDrained()
      if (this.context.isSuspended()) this.context.onTaken()
    })
  }

  onClosed(problem: Error | null): void {
    this.#isDisconnected = true
    this.guard(() => this.#gone(problem))
  }

  /** Runs what may break, outside `onRead`. */
  guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#break(error)
    }
  }

  /** A mistake of ours, or a server that cannot be understood: nothing of it is used again. */
  #break(error: unknown): void {
    const notice = error instanceof PoolerError ? error : new PoolerError('internal-error')
    // Another one would not be opened either.
    if (this.#opening !== null) this.context.owner.onServerFailed(this, notice)
    if (notice === error) {
      this.#end(`the server sent nonsense: ${notice.message}`, notice, 'doubtful')
      return
    }
    this.context.log.error(`internal error: ${error instanceof Error ? error.stack : String(error)}`, this.logFields)
    this.#end('internal error', notice, 'doubtful')
  }

  #gone(problem: Error | null): void {
    if (this.#state === SERVER.closing) {
      this.#enter(SERVER.closed)
      return
    }
    const reason = problem ? `server conn crashed? (${problem.message})` : 'server conn crashed?'
    if (this.#opening !== null) {
      this.onOpeningFailed(
        new PoolerError('server-login-failing', {
          error: problem ? problem.message : 'the server closed the connection during the login',
        }),
      )
      return
    }
    this.context.owner.onServerLost(this)
    this.close(reason, this.#outsideLease.lastWords ?? undefined)
  }

  #readOutsideLease(buffer: Buffer, start: number, end: number): void {
    // The work at hand may change between two frames: a login ends, a chore is done, a lease begins.
    this.frames.read(buffer, start, end, CHORE_NEEDS, this.#opening ?? this.#outsideLease)
    // The rest of a message must not reach whoever is lent the server next.
    if (this.#state === SERVER.idle && !this.frames.isAtBoundary) this.close('idle server got dirty')
  }

  onAsynchronous(type: number, buffer: Buffer, start: number, end: number): void {
    if (type !== BACKEND.parameterStatus) return
    const parameter = decodeParameterStatus(buffer, start, end)
    if (!parameter) {
      this.onNonsense('a broken ParameterStatus')
      return
    }
    const place = this.context.tracked.place(parameter.name)
    if (place >= 0) this.settings.noteParameter(place, parameter.value)
  }

  onNonsense(reason: string): void {
    this.giveUp(`the server sent nonsense: ${reason}`, new PoolerError('server-nonsense', { reason }))
  }

  /** Stops reading for a reason, or takes the reason back; reads while there is none. */
  stopReading(why: keyof typeof STOPS, isOn: boolean): void {
    const before = this.#stops
    this.#stops = isOn ? before | STOPS[why] : before & ~STOPS[why]
    const channel = this.#channel
    if (this.#stops === before || channel === null || !channel.isOpen) return
    if (before === 0) channel.pause()
    else if (this.#stops === 0) channel.resume()
  }

  send(message: Buffer): void {
    this.channel.write(message, 0, message.length)
  }

  // Opening

  onConnected(channel: Channel): void {
    if (this.context.isSuspended()) this.stopReading('suspended', true)
    this.#channel = channel
    channel.listener = this
    // It may have been told so while there was nothing to read from.
    if (this.#stops !== 0) channel.pause()
    this.#enter(SERVER.login)
    if (this.context.logsConnections())
      this.context.log.info(`new connection to server (from ${describeAddress(channel.local)})`, {
        subject: this.subject,
      })
    this.context.owner.onServerConnected(this, () => this.guard(() => this.#beginLogin(channel)))
  }

  #beginLogin(channel: Channel): void {
    if (this.#opening === null) return
    this.encryption = this.context.encryption(this.address)
    this.#opening.begin(channel, this.encryption)
  }

  onEncrypted(channel: Channel): void {
    this.#channel = channel
    channel.listener = this
    if (this.#stops !== 0) channel.pause()
  }

  onLoggedIn(result: LoginResult): void {
    this.pid = result.pid
    this.cancelKey = result.cancelKey
    this.usedMs = this.context.clock.nowMs
    this.checkedMs = this.usedMs
    this.settings.begin(result.parameters)
    const { log, clock } = this.context
    if (!log.isDebug) return
    const ms = Math.round(clock.nowMs - this.startedMs)
    log.debug(`logged in: process ${this.pid} of PostgreSQL, tls=${this.tls || 'no'}, ${ms} ms`, this.logFields)
  }

  onOpened(result: LoginResult): void {
    this.context.owner.onServerReady(this, result)
    this.#opening = null
    this.#enter(SERVER.idle)
  }

  onOpeningFailed(problem: Notice, reason = `login failed: ${causeOf(problem)}`): void {
    if (this.isOver) return
    this.context.owner.onServerFailed(this, problem)
    this.close(reason, problem)
  }

  #enter(next: StateRow<ServerState>): void {
    const from = this.#state
    // The text is only made where it is needed: this runs several times for each transaction.
    if (!mayFollow(from, next)) invariant(false, `server ${this.id} cannot go from ${from.name} to ${next.name}`)
    this.#state = next
    this.sinceMs = this.context.clock.nowMs
    this.context.owner.onServerMoved(this, from.name, next.name)
  }
}

/** For the log. Clients, who may come later, are told that it has been failing. */
function causeOf(problem: Notice): string {
  if (!(problem instanceof PoolerError)) return problem.message
  const cause = problem.kind === 'server-login-failing' ? problem.details['error'] : problem.message
  return problem.hint === undefined ? `${cause}` : `${cause} (${problem.hint})`
}

/** Why a server is not read. */
const STOPS = { 'client-full': 1, suspended: 2 } as const
