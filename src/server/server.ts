/** One connection to Postgres: dialed, logged in, leased to one session after another, closed. It reports every change of state to its pool. */

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
  /** The connection is open, but nothing has been sent to Postgres yet. `begin` starts the login. */
  onServerConnected(server: Server, begin: () => void): void
  onServerReady(server: Server, login: LoginResult): void
  onServerFailed(server: Server, problem: Notice): void
  /** The connection was lost unexpectedly. The cause may have broken other connections too, without their showing it yet. */
  onServerLost(server: Server): void
}

/** What all servers of one pool share. */
export interface ServerContext extends OpeningContext {
  readonly ids: Ids
  readonly clock: Clock
  readonly log: Log
  /** The database's name as clients write it. */
  readonly database: string
  /** The address to open the next server at. */
  nextAddress(): Address
  readonly tracked: Tracked
  readonly registry: StatementRegistry
  readonly schema: SchemaVersion
  maxPacketBytes(): number
  logsConnections(): boolean
  /** The end of a server that could not be opened is logged in any case. */
  logsDisconnections(): boolean
  /** SUSPEND is in effect: neither clients nor servers are read. */
  isSuspended(): boolean
  /** Called during SUSPEND when a server has taken everything that was written to it. */
  onTaken(): void
  /** Called for each new connection. Returns null if it is not to be encrypted. */
  encryption(address: Address): ServerEncryption | null
  readonly owner: ServerOwner
}

export class Server implements ChannelListener, OpeningOwner, OutsideLeaseOwner, Linked<Server> {
  readonly id: number
  readonly link = new Link<Server>()
  readonly context: ServerContext
  /** Its address as configured. */
  readonly address: Address
  readonly frames: Frames
  readonly ledger = new Ledger()
  readonly inFlight = new InFlight()
  readonly unseen = new UnseenSettings()
  readonly statements: ServerStatements
  readonly recording = new Recording()
  readonly startedMs: number
  readonly startedWallMs: number
  /** The encryption that it was opened with; the settings may have changed since. */
  encryption: ServerEncryption | null = null
  // These fields begin as numbers: in a field that began as `undefined`, V8 would allocate an object for each number that is stored.
  /** When it entered its current state. */
  sinceMs = 0
  /** When it was last given back by a session. */
  usedMs = 0
  /** When it was last known to answer. */
  checkedMs = 0
  /** The transaction status of its last ReadyForQuery. */
  status = STATUS_IDLE
  readonly settings: ServerSettings
  tenant: Tenant | null = null
  /** For the log: the id of the client that holds it, or that held it last, until it is idle again; 0 for none. */
  clientId = 0
  /** Why it must be closed instead of reused once it is free; null if it may be reused. */
  condemned: string | null = null
  /** A client has run LISTEN on it, and nothing has undone that. */
  isListening = false
  /** The number of cancel requests on their way to it. It is not lent again until there are none. */
  cancels = 0
  pid = 0
  cancelKey: Buffer = Buffer.alloc(0)
  #state: StateRow<ServerState> = SERVER.dialing
  #stops = 0
  /** The channel has reported its end. */
  #isDisconnected = false
  #channel: Channel | null = null
  /** Null once the server is open. */
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

  /** Whether it has been closed, so that its session, if it had one, has been notified. */
  get isOver(): boolean {
    return this.#state === SERVER.closing || this.#state === SERVER.closed
  }

  /** Its settings, as far as they are known. */
  get profile(): Profile {
    return this.settings.profile
  }

  /** Available only once the server is connected. */
  get channel(): Channel {
    if (this.#channel === null) invariant(false, `server ${this.id} has no connection yet`)
    return this.#channel
  }

  /** The address that it is connected to, or will be. */
  get peer(): Address {
    return this.#channel?.peer ?? this.address
  }

  /** The number of bytes that were written to it and that the kernel has not taken yet. */
  get owedBytes(): number {
    return this.#channel?.owedBytes ?? 0
  }

  get tls(): string {
    return this.#channel?.tls ?? ''
  }

  get local(): Address {
    return this.#channel?.local ?? { host: '', port: 0 }
  }

  /** Whether it can be given back: it is outside a transaction, owes nothing, and no message has arrived only in part. */
  get isClean(): boolean {
    return this.status === STATUS_IDLE && this.ledger.isClear && this.frames.isAtBoundary
  }

  get subject(): string {
    const { database, identity } = this.context
    return `S-0x${this.id.toString(16)}: ${database}/${identity.user}@${describeAddress(this.peer)}`
  }

  /** Identifies the server, and the client that holds it, in the log. */
  get logFields(): LogFields {
    return { subject: this.subject, client: this.clientId || undefined }
  }

  dial(): void {
    this.#opening = new ServerOpening(this, this.#outsideLease)
    this.#opening.dial()
  }

  /** idle, aligning or restoring → leased. */
  lend(tenant: Tenant): void {
    this.tenant = tenant
    this.frames.limit = this.context.maxPacketBytes()
    this.#enter(SERVER.leased)
  }

  /**
   * idle → aligning: changes the settings in one round trip. On success the server's profile and `values` hold the new values as Postgres
   * writes them, and the caller goes on with `lend` or `finishAligning`. If the server dies meanwhile, `gone` is called instead of `done`.
   */
  align(
    changes: readonly Change[],
    done: (error: Notice | null, values: ReadonlyMap<string, string>) => void,
    gone: (notice: Notice) => void,
  ): void {
    this.#enter(SERVER.aligning)
    this.#outsideLease.align(changes, done, gone)
  }

  /** leased → restoring: runs a statement of ours while the session keeps the server. The session then calls `lend` to continue its lease. */
  restore(sql: string, listener: RestoreListener): void {
    this.tenant = null
    this.frames.limit = MAX_CHORE_REPLY_BYTES
    this.#enter(SERVER.restoring)
    this.#outsideLease.restore(sql, listener)
  }

  /** aligning → idle: no session needs the server after all. */
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

  /** leased → (canceling) → (cleaning) → idle. The server must be clean. */
  giveBack(resetSql: string): void {
    if (!this.isClean) invariant(false, `server ${this.id} was returned with debts`)
    this.tenant = null
    // Outside a lease each message is buffered whole.
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

  /** A cancel request has arrived or failed: it can no longer hit the next tenant. */
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

  /** Updates what is known of prepared statements, settings and LISTEN after a command with this tag has run. */
  noteTag(tag: string): void {
    if (tag === 'LISTEN') {
      this.isListening = true
      return
    }
    if (tag === 'DISCARD ALL' || tag === 'DEALLOCATE ALL') this.statements.clear()
    if (tag === 'DISCARD ALL') this.isListening = false
    this.settings.noteTag(tag)
  }

  /**
   * Closes the server as soon as it is free: at once, unless it is leased or restoring. A session that it was promised to (aligning) gets
   * another server.
   */
  condemn(reason: string): void {
    if (this.isOver) return
    this.condemned ??= reason
    if (this.#state !== SERVER.leased && this.#state !== SERVER.restoring) this.close(reason)
  }

  /**
   * Closes a server that does not answer, or not as it should. If it is still being opened, that counts as a failure to open it, after which
   * the pool pauses before it opens another.
   */
  giveUp(reason: string, notice?: Notice): void {
    if (this.#opening !== null)
      this.onOpeningFailed(notice ?? new PoolerError('server-login-failing', { error: reason }))
    else this.close(reason, notice)
  }

  /** Ends the connection. The tenant, if any, receives `notice`. */
  close(reason: string, notice: Notice = new PoolerError('server-crashed')): void {
    this.#end(reason, notice, 'sound')
  }

  /**
   * @param condition `sound`: waits in `closing` until the backend has left too, because Postgres counts it until then; `doubtful`: cuts the
   * connection off
   */
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

  /** Runs `work` outside `onRead`, and ends the server if it throws. */
  guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#break(error)
    }
  }

  /** Handles a mistake of ours, or a server that does not keep to the protocol: ends the server, so that nothing of it is reused. */
  #break(error: unknown): void {
    const notice = error instanceof PoolerError ? error : new PoolerError('internal-error')
    // While the server is being opened, this counts as a failure to open it: another attempt would probably end in the same way.
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
    // The server's work may change between two frames of a chunk (a login ends, a chore is done, a lease begins), so the sink decides for each
    // frame who reads it.
    this.frames.read(buffer, start, end, CHORE_NEEDS, this.#opening ?? this.#outsideLease)
    // The rest of a message must not reach the next tenant.
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

  /** Adds (`isOn`) or removes a reason not to read. The server is read while there is no reason left. */
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
    // `stopReading` may have been called while there was no channel to pause.
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

  /** No client has asked for this connection, so nobody but the operator is told. */
  onLoginNotice({ severity, sqlstate, message, detail, hint }: Notice): void {
    const { log } = this.context
    const sentence = `notice at the login: ${severity}: ${message}`
    const fields = { ...this.logFields, sqlstate, detail, hint }
    if (severity === 'WARNING') log.warning(sentence, fields)
    else if (this.context.logsConnections()) log.info(sentence, fields)
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
    // Build the text only on failure: this runs several times for each transaction.
    if (!mayFollow(from, next)) invariant(false, `server ${this.id} cannot go from ${from.name} to ${next.name}`)
    this.#state = next
    this.sinceMs = this.context.clock.nowMs
    this.context.owner.onServerMoved(this, from.name, next.name)
  }
}

/** The cause for the log. Clients, which may arrive later, only learn that logins have been failing. */
function causeOf(problem: Notice): string {
  if (!(problem instanceof PoolerError)) return problem.message
  const cause = problem.kind === 'server-login-failing' ? problem.details['error'] : problem.message
  return problem.hint === undefined ? `${cause}` : `${cause} (${problem.hint})`
}

/** The reasons not to read a server, as bits. */
const STOPS = { 'client-full': 1, suspended: 2 } as const
