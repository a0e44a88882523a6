/** One client, from its first byte to its last: greeting, login, welcome, and then whatever its handler does. */

import type { Clock } from '../base/clock.ts'
import { InvariantError, invariant } from '../base/invariant.ts'
import { SharedTexts } from '../base/shared-texts.ts'
import { mayFollow, type StateRow } from '../base/state-rows.ts'
import type { Channel, ChannelListener } from '../net/channel.ts'
import { HandshakeError } from '../net/handshakes.ts'
import { describeAddress } from '../net/unix-sockets.ts'
import { kindOf, PoolerError } from '../problems.ts'
import type { CancelSender } from '../server/cancel.ts'
import { normalizedQuery, traceparentOf } from '../sql/normalized.ts'
import { asFatal, encodeError, type Notice } from '../wire/notices.ts'
import type { Replication } from '../wire/replication.ts'
import type { ClientContext } from './context.ts'
import { Entry, type EntryListener } from './entry.ts'
import type { Handler } from './handler.ts'
import type { ClientSettings, Host } from './host.ts'
import { Intake } from './intake.ts'
import { adviceOnLeaving, CLOSE_REQUEST } from './leaving.ts'
import type { OwnServer } from './own-server.ts'
import { Relay } from './relay.ts'
import type { Wishes } from './startup-parameters.ts'
import { SESSION, type SessionState } from './states.ts'
import { encodeWelcome, type Fitting } from './welcome.ts'

/** How a session ends. */
interface Ending {
  readonly notice: Notice | null
  readonly reason: string
  readonly isMute: boolean
}

/** The users, databases and application names that clients give. Many give the same, and each text is kept once. */
const texts = new SharedTexts()

export class Session implements Host, ChannelListener, EntryListener {
  readonly id: number
  channel: Channel
  readonly clock: Clock
  readonly connectedMs: number
  readonly connectedWallMs: number
  readonly #context: ClientContext
  #state: StateRow<SessionState> = SESSION.greeting
  readonly #intake: Intake
  /** Null once the client has logged in, so that what the login took is freed: most sessions do nothing most of the time. */
  #entry: Entry | null
  #user: string | null = null
  #database: string | null = null
  #statedName = ''
  #replication: Replication = 'none'
  #handler: Handler | null = null
  /** The pid of its cancel key; 0 for none. */
  #cancelPid = 0
  /** The outboxes are in use: the end has to wait until their contents are written. */
  #isWorking = false
  #ending: Ending | null = null

  constructor(channel: Channel, context: ClientContext) {
    this.id = context.ids.take()
    this.channel = channel
    this.#context = context
    this.clock = context.clock
    this.connectedMs = context.clock.nowMs
    this.connectedWallMs = context.clock.wallMs()
    this.#entry = new Entry(this, context, this)
    this.#intake = new Intake(this, this.#entry)
    channel.listener = this
    context.sessions.add(this)
  }

  get state(): SessionState {
    return this.#state.name
  }

  get isOpen(): boolean {
    return this.#ending === null && this.#state !== SESSION.closing && this.#state !== SESSION.closed
  }

  /** Its client has not logged in and keeps us waiting: it is its turn to send something, or to take our last message. */
  get isAwaited(): boolean {
    return !this.isOpen || (this.#entry?.isAwaited ?? false)
  }

  get user(): string | null {
    return this.#user
  }

  get database(): string | null {
    return this.#database
  }

  get replication(): Replication {
    return this.#replication
  }

  get handler(): Handler | null {
    return this.#handler
  }

  get relay(): Relay | null {
    return this.#handler instanceof Relay ? this.#handler : null
  }

  /** What requests servers for this session: one object to welcome the client, and the relay from then on. */
  get waiter(): Relay | Fitting | OwnServer | null {
    return this.relay ?? this.#entry?.fitting ?? null
  }

  get applicationName(): string {
    const place = this.#context.tracked.place('application_name')
    return this.relay?.settings.profile.values[place] ?? this.#statedName
  }

  get cancels(): CancelSender {
    return this.#context.cancels
  }

  get settings(): ClientSettings {
    return this.#context.settings()
  }

  /** How the session is named in the log. */
  get subject(): string {
    const peer = describeAddress(this.channel.peer)
    return `C-0x${this.id.toString(16)}: ${this.database ?? '(nodb)'}/${this.user ?? '(nouser)'}@${peer}`
  }

  enter(next: StateRow<SessionState>): void {
    // The message is made only if it is needed: this runs several times for each transaction.
    if (!mayFollow(this.#state, next))
      invariant(false, `session ${this.id} cannot go from ${this.#state.name} to ${next.name}`)
    this.#state = next
  }

  goOnBy(channel: Channel): void {
    this.channel = channel
    channel.listener = this
  }

  // Reading

  onRead(buffer: Buffer, start: number, end: number): void {
    this.clock.refresh()
    try {
      this.#intake.take(buffer, start, end)
    } catch (error) {
      this.onBroken(error)
    }
  }

  /** Reads what was held back. */
  goOn(): void {
    this.#guard(() => this.#intake.goOn())
  }

  /** Adds or removes a reason not to read from the client; it is read while there is no reason. */
  stopReading(why: 'server-full' | 'client-full', isOn: boolean): void {
    this.#intake.stop(why, isOn)
    if (!isOn && this.#context.isSuspended()) this.#context.onTaken()
  }

  /** While this is on, a logged-in client is not read. A console is read all the time. */
  suspend(isOn: boolean): void {
    if (this.relay !== null) this.#intake.stop('suspended', isOn)
  }

  onDrained(): void {
    this.#guard(() => this.#handler?.onDrained())
  }

  /** Runs `work`. Whatever goes wrong in it ends this session, and nothing else. */
  #guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.onBroken(error)
    }
  }

  send(message: Buffer): void {
    this.channel.write(message, 0, message.length)
  }

  // Login

  onIntroduced({ user, database, settings, replication }: Wishes): void {
    this.#user = texts.share(user)
    this.#database = texts.share(database)
    this.#replication = replication
    this.#statedName = texts.share(settings.get('application_name') ?? '')
  }

  onEntered(reception: Buffer, handler: Handler): void {
    this.#entry = null
    this.#handler = handler
    this.#intake.stage = handler
    if (this.#context.isSuspended()) this.suspend(true)
    const cancelKey = this.#context.cancelKeys.create(this)
    this.#cancelPid = cancelKey.pid
    this.enter(this.relay?.server ? SESSION.active : SESSION.idle)
    this.#context.sessions.loggedIn(this)
    this.send(encodeWelcome(reception, cancelKey, this.relay === null ? '' : this.settings.loginNotice))
  }

  onRefused(notice: Notice): void {
    this.end(notice)
  }

  onLeft(reason: string): void {
    this.leave(reason)
  }

  /** A cancel request with this session's key has come: see `Handler.cancel`. */
  cancel(done: () => void): void {
    this.#guard(() => {
      if (this.isOpen && this.#handler !== null) this.#handler.cancel(done)
      else done()
    })
  }

  // Deadlines

  onSweep(nowMs: number): void {
    this.#guard(() => this.#sweep(nowMs))
  }

  #sweep(nowMs: number): void {
    const { loginTimeoutMs } = this.settings
    switch (this.#state.name) {
      case 'greeting':
      case 'authenticating':
      case 'welcoming':
        if (loginTimeoutMs > 0 && nowMs - this.connectedMs > loginTimeoutMs)
          this.end(new PoolerError(this.#state === SESSION.welcoming ? 'login-timeout-server-down' : 'login-timeout'))
        else this.#entry?.sweep(nowMs)
        return
      case 'idle':
        if (nowMs > this.idleUntilMs) this.end(new PoolerError('client-idle-timeout'))
    }
  }

  /** Until when it may stay idle; Infinity if it is not idle, or may be so for any time. */
  get idleUntilMs(): number {
    const { relay } = this
    if (this.#state !== SESSION.idle || relay === null) return Infinity
    const idleTimeoutMs = this.settings.idleTimeoutMs(this.#user ?? '')
    return idleTimeoutMs > 0 ? relay.answeredMs + idleTimeoutMs : Infinity
  }

  // The end

  /** While a handler fills the outboxes, the end of the session is put off. */
  workBegins(): void {
    this.#isWorking = true
  }

  workEnds(): void {
    this.#isWorking = false
    if (this.#ending) this.#finish(this.#ending, 'sound')
  }

  /** Tells the client why, and closes. */
  end(notice: Notice): void {
    this.#end({ notice, reason: notice.message, isMute: false })
  }

  /** Closes without telling the client why, because it has received only a part of another message. */
  endMute(notice: Notice): void {
    this.#end({ notice, reason: notice.message, isMute: true })
  }

  /** Closes without telling the client why: it wants to leave, or knows the reason. */
  leave(reason: string): void {
    this.#end({ notice: null, reason, isMute: true })
  }

  /** Closes and destroys the connection at once, to make room for others. */
  giveUp(reason: string): void {
    this.leave(reason)
    this.channel.destroy()
  }

  #end(ending: Ending): void {
    if (!this.isOpen) return
    if (this.#isWorking) this.#ending = ending
    else this.#finish(ending, 'sound')
  }

  #finish({ notice, reason, isMute }: Ending, state: 'sound' | 'doubtful'): void {
    this.#ending = null
    const canSpeak = !isMute && (this.#handler?.canSpeak ?? true)
    this.#log(notice, reason, reason === CLOSE_REQUEST ? this.#adviceOn() : undefined)
    if (notice !== null) (this.waiter?.pool.errors ?? this.#context.errors).note('pgweir', notice.sqlstate)
    this.enter(SESSION.closing)
    this.#letGo(state)
    if (notice !== null && canSpeak) this.send(encodeError(asFatal(notice)))
    this.channel.close()
  }

  onClosed(problem: Error | null): void {
    if (this.#state === SESSION.closed) return
    if (this.#state !== SESSION.closing) {
      const reason = problem ? `client unexpected eof (${problem.message})` : 'client unexpected eof'
      this.#log(null, reason, this.#adviceOn(problem instanceof HandshakeError))
      this.#guard(() => this.#letGo('sound'))
    }
    this.enter(SESSION.closed)
    this.#context.sessions.remove(this)
    this.#context.onGone(this)
    this.#context.ids.giveBack(this.id)
  }

  /** Ends the session because of a mistake of ours. Nothing that it held is used again. */
  onBroken(error: unknown): void {
    this.#context.log.error(`internal error: ${error instanceof Error ? error.stack : String(error)}`, {
      subject: this.subject,
    })
    if (!(error instanceof InvariantError)) reportUnexpected(error)
    if (this.#state === SESSION.closing || this.#state === SESSION.closed) return
    const notice = new PoolerError('internal-error')
    this.#finish({ notice, reason: notice.message, isMute: false }, 'doubtful')
  }

  #letGo(state: 'sound' | 'doubtful'): void {
    this.#intake.drop()
    this.#entry?.abandon()
    this.#handler?.end(state)
    if (this.#cancelPid !== 0) this.#context.cancelKeys.remove(this.#cancelPid, this)
    this.#cancelPid = 0
  }

  onSlowQuery(tookMs: number, text: string): void {
    const { slowQueryRate, showsQueryValues } = this.settings
    if (slowQueryRate < 1 && Math.random() >= slowQueryRate) return
    const query = showsQueryValues ? text : normalizedQuery(text)
    this.#context.log.info(`slow query: ${tookMs.toFixed(1)} ms: ${query}`, {
      ...{ subject: this.subject, database: this.database, user: this.user, client: this.id },
      ...{
        application: this.applicationName,
        ms: Math.round(tookMs * 1000) / 1000,
        query,
        traceparent: traceparentOf(text) ?? undefined,
      },
    })
  }

  /** The hint for the log if the client has ended the session. */
  #adviceOn(isWithoutTls = false): string | undefined {
    const server = this.relay?.server
    const left = !server ? 'nothing' : !server.ledger.isEmpty ? 'query' : server.isClean ? 'nothing' : 'transaction'
    return adviceOnLeaving({ state: this.#state.name, left, isWithoutTls })
  }

  #log(notice: Notice | null, reason: string, hint: string | undefined): void {
    const { log } = this.#context
    const { logsErrors, logsDisconnections } = this.settings
    const fields = { subject: this.subject, database: this.database, user: this.user, client: this.id }
    if (notice !== null && logsErrors)
      log.warning(`pooler error: ${notice.message}`, {
        ...fields,
        ...{ sqlstate: notice.sqlstate, kind: kindOf(notice), hint: hintForLog(notice) },
      })
    const age = Math.floor((this.clock.nowMs - this.connectedMs) / 1000)
    if (logsDisconnections) log.info(`closing because: ${reason} (age=${age}s)`, { ...fields, hint })
  }
}

/** A PoolerError has a hint of its own. An error of Postgres' has the hint that Postgres gave, or else points to Postgres' log. */
function hintForLog(notice: Notice): string | undefined {
  return notice instanceof PoolerError ? notice.logHint : (notice.hint ?? 'PostgreSQL has said so: see its log.')
}

/** An error that is neither trouble from outside nor a failed invariant is a mistake of ours too, and tests must see it. */
function reportUnexpected(error: unknown): void {
  try {
    invariant(false, `unexpected: ${error instanceof Error ? error.message : String(error)}`)
  } catch {
    // The invariant was only to be reported.
  }
}
