/** One client, from its first byte to its last: greeting, login, welcome, and then whatever its handler does. */

import type { Clock } from '../base/clock.ts'
import { InvariantError, invariant } from '../base/invariant.ts'
import type { Log } from '../base/log.ts'
import type { Channel, ChannelListener } from '../net/channel.ts'
import type { Pool } from '../pool/pool.ts'
import { PoolerError } from '../problems.ts'
import type { CancelSender } from '../server/cancel.ts'
import type { Profile, Tracked } from '../server/profile.ts'
import { encodeNegotiateProtocolVersion } from '../wire/backend.ts'
import { encodeError, type Notice } from '../wire/notices.ts'
import type { StartupPacket } from '../wire/startup.ts'
import {
  Authentication,
  type AuthenticationListener,
  type AuthenticationOptions,
  type Proof,
} from './authentication.ts'
import type { CancelKey, CancelKeys } from './cancel-keys.ts'
import { Greeting } from './greeting.ts'
import type { Handler } from './handler.ts'
import { Relay } from './relay.ts'
import type { Sessions } from './sessions.ts'
import { readWishes, type Wishes } from './startup-parameters.ts'
import { SESSION_MOVES, type SessionState } from './states.ts'
import { encodeWelcome, Fitting, reportedParameters } from './welcome.ts'

/** Where a session that has proved who it is goes. */
export type Destination =
  | { readonly kind: 'pool'; readonly pool: Pool }
  | { readonly kind: 'console'; readonly parameters: ReadonlyMap<string, string>; open(session: Session): Handler }

/** Times in milliseconds, 0 for never. */
export interface ClientSettings {
  readonly loginTimeoutMs: number
  idleTimeoutMs(user: string): number
  readonly ignoredStartupParameters: ReadonlySet<string>
  readonly addsHostToApplicationName: boolean
  readonly logsConnections: boolean
  readonly logsDisconnections: boolean
  readonly logsErrors: boolean
}

/** What all sessions share. */
export interface ClientContext {
  readonly clock: Clock
  readonly log: Log
  readonly sessions: Sessions
  readonly cancelKeys: CancelKeys<Session>
  readonly cancels: CancelSender
  readonly tracked: Tracked
  settings(): ClientSettings
  /** Throws if there is no room for one more client. */
  admit(session: Session, wishes: Wishes): void
  authentication(wishes: Wishes): AuthenticationOptions
  /** Throws if the database does not exist, or does not take the client. */
  destination(session: Session, wishes: Wishes, proof: Proof): Destination
  /** The session has been closed. */
  onGone(session: Session): void
}

const ANSWER_NO = Buffer.from('N')

/** How much of what a client sends is kept while it waits, before it is no longer read. Reading on shows whether it is still there. */
const MAX_HELD_BYTES = 64 * 1024

/** Why a client is not read. */
const STOPS = { 'holds-enough': 1, 'server-full': 2, 'client-full': 4 } as const

interface Stage {
  read(buffer: Buffer, start: number, end: number): number
}

/** Takes nothing: an answer is being worked on. */
const BUSY: Stage = { read: (_buffer, start) => start }

let lastId = 0

export class Session implements ChannelListener, AuthenticationListener {
  readonly id = ++lastId
  readonly channel: Channel
  readonly clock: Clock
  readonly connectedMs: number
  readonly connectedWallMs: number
  readonly #context: ClientContext
  #state: SessionState = 'greeting'
  #stage: Stage
  #held: Buffer | null = null
  #stops = 0
  #isFeeding = false
  #greeting: Greeting | null = new Greeting()
  #authentication: Authentication | null = null
  #fitting: Fitting | null = null
  #handler: Handler | null = null
  #wishes: Wishes | null = null
  #cancelKey: CancelKey | null = null
  /** The outboxes are in use: the end has to wait until what was said is written. */
  #isWorking = false
  #ending: { readonly notice: Notice | null; readonly reason: string; readonly isMute: boolean } | null = null

  constructor(channel: Channel, context: ClientContext) {
    this.channel = channel
    this.#context = context
    this.clock = context.clock
    this.connectedMs = context.clock.nowMs
    this.connectedWallMs = context.clock.wallMs()
    this.#stage = { read: (buffer, start, end) => this.#greet(buffer, start, end) }
    channel.listener = this
    context.sessions.add(this)
  }

  get state(): SessionState {
    return this.#state
  }

  get isOpen(): boolean {
    return this.#ending === null && this.#state !== 'closing' && this.#state !== 'closed'
  }

  get user(): string | null {
    return this.#wishes?.user ?? null
  }

  get database(): string | null {
    return this.#wishes?.database ?? null
  }

  get handler(): Handler | null {
    return this.#handler
  }

  get relay(): Relay | null {
    return this.#handler instanceof Relay ? this.#handler : null
  }

  /** Who asks for servers in its name: to welcome it, and from then on. */
  get waiter(): Relay | Fitting | null {
    return this.relay ?? this.#fitting
  }

  get applicationName(): string {
    const place = this.#context.tracked.place('application_name')
    return this.relay?.profile.values[place] ?? this.#wishes?.settings.get('application_name') ?? ''
  }

  get cancels(): CancelSender {
    return this.#context.cancels
  }

  get settings(): ClientSettings {
    return this.#context.settings()
  }

  /** How it is named in the log. */
  get subject(): string {
    const { host, port } = this.channel.peer
    return `C-0x${this.id.toString(16)}: ${this.database ?? '(nodb)'}/${this.user ?? '(nouser)'}@${host}:${port}`
  }

  enter(next: SessionState): void {
    invariant(SESSION_MOVES[this.#state].includes(next), `session ${this.id} cannot go from ${this.#state} to ${next}`)
    this.#state = next
  }

  // Reading

  onRead(buffer: Buffer, start: number, end: number): void {
    this.clock.refresh()
    try {
      if (this.#held !== null) this.#hold(buffer, start, end)
      else {
        const at = this.#feed(buffer, start, end)
        if (at < end && this.isOpen) this.#hold(buffer, at, end)
      }
    } catch (error) {
      this.#break(error)
    }
  }

  /** What was held back can be read now. */
  goOn(): void {
    if (this.#isFeeding || this.#held === null) return
    const held = this.#held
    this.#held = null
    try {
      const at = this.#feed(held, 0, held.length)
      if (at < held.length && this.isOpen) this.#held = at === 0 ? held : Buffer.from(held.subarray(at))
      this.stopReading('holds-enough', this.#held !== null && (this.#held as Buffer).length > MAX_HELD_BYTES)
    } catch (error) {
      this.#break(error)
    }
  }

  /** Gives bytes to the stage at hand, and to those that follow from it. */
  #feed(buffer: Buffer, start: number, end: number): number {
    let at = start
    this.#isFeeding = true
    try {
      while (at < end && this.isOpen) {
        const stage = this.#stage
        at = stage.read(buffer, at, end)
        // A stage reads all that it can: where it stopped, it has to wait.
        if (stage === this.#stage) break
      }
    } finally {
      this.#isFeeding = false
    }
    return at
  }

  #hold(buffer: Buffer, start: number, end: number): void {
    const rest = buffer.subarray(start, end)
    this.#held = this.#held === null ? Buffer.from(rest) : Buffer.concat([this.#held, rest])
    if (this.#held.length > MAX_HELD_BYTES) this.stopReading('holds-enough', true)
  }

  /** Stops reading for a reason, or takes the reason back; reads while there is none. */
  stopReading(why: keyof typeof STOPS, isOn: boolean): void {
    const before = this.#stops
    this.#stops = isOn ? before | STOPS[why] : before & ~STOPS[why]
    if (this.#stops === before || !this.channel.isOpen) return
    if (before === 0) this.channel.pause()
    else if (this.#stops === 0) this.channel.resume()
  }

  onDrained(): void {
    this.#guard(() => this.#handler?.onDrained())
  }

  /** Whatever goes wrong within ends this session, and nothing else. */
  #guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#break(error)
    }
  }

  // Greeting

  #greet(buffer: Buffer, start: number, end: number): number {
    try {
      const { packet, stoppedAt } = (this.#greeting as Greeting).read(buffer, start, end)
      if (packet === null) return stoppedAt
      if (packet.kind === 'startup') this.#start(packet)
      else if (packet.kind === 'cancel') this.#cancelAnother(packet.pid, packet.key)
      else this.send(ANSWER_NO)
      return stoppedAt
    } catch (problem) {
      if (!(problem instanceof PoolerError)) throw problem
      this.end(problem)
      return end
    }
  }

  #cancelAnother(pid: number, key: Buffer): void {
    const target = this.#context.cancelKeys.find(pid, key)
    const over = () => this.leave('cancel request')
    this.#stage = BUSY
    // Clients take the end of this connection as the sign that it cannot hit what they ask next (see PQcancel).
    if (target === null) over()
    else target.cancel(over)
  }

  #start(packet: StartupPacket): void {
    const { settings, tracked } = this.#context
    const wishes = readWishes(packet, settings().ignoredStartupParameters, tracked)
    this.#wishes = settings().addsHostToApplicationName ? this.#addHost(wishes) : wishes
    this.#greeting = null
    if (packet.minorVersion > 0 || wishes.unknownProtocolParameters.length > 0)
      this.send(encodeNegotiateProtocolVersion(wishes.unknownProtocolParameters))
    this.#context.admit(this, wishes)
    this.enter('authenticating')
    const authentication = new Authentication(this.#context.authentication(wishes), this)
    this.#authentication = authentication
    this.#stage = {
      read: (buffer, start, end) => {
        const at = authentication.read(buffer, start, end)
        if (authentication.leaves) this.leave('client close request')
        return at
      },
    }
    authentication.start()
  }

  #addHost(wishes: Wishes): Wishes {
    const { host, port } = this.channel.peer
    const name = wishes.settings.get('application_name') ?? ''
    const settings = new Map(wishes.settings).set('application_name', `${name === '' ? 'app' : name} - ${host}:${port}`)
    return { ...wishes, settings }
  }

  // Login

  send(message: Buffer): void {
    this.channel.write(message, 0, message.length)
  }

  onRejected(problem: PoolerError): void {
    this.end(problem)
  }

  onBroken(error: unknown): void {
    this.#break(error)
  }

  onProved(proof: Proof): void {
    const wishes = this.#wishes as Wishes
    this.#authentication = null
    this.#stage = BUSY
    try {
      const destination = this.#context.destination(this, wishes, proof)
      this.enter('welcoming')
      if (this.#context.settings().logsConnections)
        this.#context.log.info(`login attempt: db=${wishes.database} user=${wishes.user} tls=no replication=no`, {
          subject: this.subject,
        })
      if (destination.kind === 'console') this.#welcome(destination.parameters, destination.open(this))
      else this.#fit(destination.pool, wishes)
    } catch (problem) {
      if (!(problem instanceof PoolerError)) throw problem
      this.end(problem)
    }
  }

  #fit(pool: Pool, wishes: Wishes): void {
    const fitting = new Fitting(pool, wishes.settings, {
      onFitted: (profile) => this.#fitted(pool, profile),
      onUnfit: (notice) => this.end(notice),
    })
    this.#fitting = fitting
    fitting.start()
  }

  #fitted(pool: Pool, profile: Profile): void {
    this.#fitting = null
    if (!this.isOpen) return
    pool.counters.clientLogins++
    this.#welcome(reportedParameters(pool, profile), new Relay(this, pool, profile))
  }

  #welcome(parameters: ReadonlyMap<string, string>, handler: Handler): void {
    this.#handler = handler
    this.#stage = handler
    this.#cancelKey = this.#context.cancelKeys.create(this)
    this.enter('idle')
    this.#context.sessions.loggedIn(this)
    this.send(encodeWelcome(parameters, this.#cancelKey))
    this.goOn()
  }

  /** A cancel request with its key has come: see `Handler.cancel`. */
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
    switch (this.#state) {
      case 'greeting':
      case 'authenticating':
      case 'welcoming':
        if (loginTimeoutMs > 0 && nowMs - this.connectedMs > loginTimeoutMs)
          this.end(new PoolerError(this.#state === 'welcoming' ? 'login-timeout-server-down' : 'login-timeout'))
        return
      case 'idle': {
        const { relay } = this
        const idleTimeoutMs = this.settings.idleTimeoutMs(this.user ?? '')
        if (relay !== null && idleTimeoutMs > 0 && nowMs - relay.answeredMs > idleTimeoutMs)
          this.end(new PoolerError('client-idle-timeout'))
      }
    }
  }

  // The end

  /** While a handler fills the outboxes, an end is put off. */
  workBegins(): void {
    this.#isWorking = true
  }

  workEnds(): void {
    this.#isWorking = false
    if (this.#ending) this.#finish(this.#ending)
  }

  /** Tells the client why, and closes. */
  end(notice: Notice): void {
    this.#end({ notice, reason: notice.message, isMute: false })
  }

  /** Closes without a word, because the client is in the midst of another message. */
  endMute(notice: Notice): void {
    this.#end({ notice, reason: notice.message, isMute: true })
  }

  /** Closes: the client wants it so, or knows why. */
  leave(reason: string): void {
    this.#end({ notice: null, reason, isMute: true })
  }

  #end(ending: { readonly notice: Notice | null; readonly reason: string; readonly isMute: boolean }): void {
    if (!this.isOpen) return
    if (this.#isWorking) this.#ending = ending
    else this.#finish(ending)
  }

  #finish({
    notice,
    reason,
    isMute,
  }: {
    readonly notice: Notice | null
    readonly reason: string
    readonly isMute: boolean
  }): void {
    this.#ending = null
    const canSpeak = !isMute && (this.#handler?.canSpeak ?? true)
    this.#log(notice, reason)
    this.enter('closing')
    this.#letGo('sound')
    if (notice !== null && canSpeak) this.send(encodeError({ ...fields(notice), severity: 'FATAL' }))
    this.channel.close()
  }

  onClosed(problem: Error | null): void {
    if (this.#state === 'closed') return
    if (this.#state !== 'closing') {
      this.#log(null, problem ? `client unexpected eof (${problem.message})` : 'client unexpected eof')
      this.#guard(() => this.#letGo('sound'))
    }
    this.enter('closed')
    this.#context.sessions.remove(this)
    this.#context.onGone(this)
  }

  #break(error: unknown): void {
    this.#context.log.error(`internal error: ${error instanceof Error ? error.stack : String(error)}`, {
      subject: this.subject,
    })
    if (!(error instanceof InvariantError)) reportUnexpected(error)
    if (this.#state === 'closing' || this.#state === 'closed') return
    const notice = new PoolerError('internal-error')
    const canSpeak = this.#handler?.canSpeak ?? true
    this.#log(notice, notice.message)
    this.#ending = null
    this.enter('closing')
    this.#letGo('doubtful')
    if (canSpeak) this.send(encodeError(notice))
    this.channel.close()
  }

  #letGo(state: 'sound' | 'doubtful'): void {
    this.#held = null
    this.#authentication?.abandon()
    this.#fitting?.abandon()
    this.#handler?.end(state)
    if (this.#cancelKey) this.#context.cancelKeys.remove(this.#cancelKey)
    this.#cancelKey = null
  }

  #log(notice: Notice | null, reason: string): void {
    const { log } = this.#context
    const { logsErrors, logsDisconnections } = this.settings
    const fields = { subject: this.subject, database: this.database, user: this.user, client: this.id }
    if (notice !== null && logsErrors)
      log.warning(`pooler error: ${notice.message}`, { ...fields, sqlstate: notice.sqlstate })
    const age = Math.floor((this.clock.nowMs - this.connectedMs) / 1000)
    if (logsDisconnections) log.info(`closing because: ${reason} (age=${age}s)`, fields)
  }
}

function fields({ sqlstate, message, detail, hint }: Notice): Omit<Notice, 'severity'> {
  return { sqlstate, message, detail, hint }
}

/** An error that is neither trouble from outside nor a failed invariant is a mistake of ours too, and tests must see it. */
function reportUnexpected(error: unknown): void {
  try {
    invariant(false, `unexpected: ${error instanceof Error ? error.message : String(error)}`)
  } catch {
    // Only the witness was to be told.
  }
}
