/** A client's login: greeting, authentication, and settings that fit. Ends with the handler for the client's bytes from then on. */

import { offeredTls } from '../net/secured.ts'
import type { Opening } from '../net/tls.ts'
import { describeAddress, isPath } from '../net/unix-sockets.ts'
import type { Pool } from '../pool/pool.ts'
import { PoolerError, type ProblemKind } from '../problems.ts'
import { encodeNegotiateProtocolVersion } from '../wire/backend.ts'
import type { Notice } from '../wire/notices.ts'
import type { StartupPacket } from '../wire/startup.ts'
import {
  Authentication,
  type AuthenticationListener,
  type AuthenticationOptions,
  type Proof,
} from './authentication.ts'
import type { ClientContext, ClientEncryption, Destination } from './context.ts'
import { Greeting } from './greeting.ts'
import type { Handler } from './handler.ts'
import type { Host } from './host.ts'
import type { Stage } from './intake.ts'
import { CLOSE_REQUEST } from './leaving.ts'
import { OwnServer } from './own-server.ts'
import { Relay } from './relay.ts'
import { readWishes, type Wishes } from './startup-parameters.ts'
import { SESSION } from './states.ts'
import { encodeReception, Fitting, receptionOf } from './welcome.ts'

const AGREED: Opening = { isDirect: false }
const DIRECT: Opening = { isDirect: true }
const ANSWER_NO = Buffer.from('N')
const ANSWER_YES = Buffer.from('S')

/** Failures to authenticate. The client may be guessing, so the answer may be held back. */
const UNPROVED: readonly ProblemKind[] = [
  'password-failed',
  'sasl-failed',
  'ldap-failed',
  'pam-failed',
  'trust-failed',
  'empty-password',
]

export interface EntryListener {
  /** The client has said who it is and what it asks for. */
  onIntroduced(wishes: Wishes): void
  /** The client has logged in: it is to be welcomed with `reception` (see `encodeWelcome`), and `handler` handles its bytes from here. */
  onEntered(reception: Buffer, handler: Handler): void
  onRefused(notice: Notice): void
  /** The client has asked to leave, or only came to cancel. */
  onLeft(reason: string): void
  /** A mistake of ours. */
  onBroken(error: unknown): void
}

/** Handles bytes up to the end of the login. Takes none while an answer is being worked on. */
export class Entry implements Stage, AuthenticationListener {
  readonly #session: Host
  readonly #context: ClientContext
  readonly #listener: EntryListener
  readonly #greeting = new Greeting()
  #authentication: Authentication | null = null
  #fitting: Fitting | OwnServer | null = null
  /** `agreed`: TLS has been agreed on, and the client's first bytes of it are awaited. `securing`: they are there, and it is the client's turn. */
  #step: 'greeting' | 'agreed' | 'securing' | 'authenticating' | 'working' = 'greeting'
  #opening: Opening | null = null
  /** The last message of the authentication, until it is sent: in one piece with the welcome, if that is known at once. */
  #last: Buffer | null = null
  /** A refusal that is held back until it is due. */
  #refusal: { readonly problem: PoolerError; readonly dueMs: number } | null = null
  /** What the client asked for in its startup packet. */
  #wishes: Wishes | null = null
  /** The same, if the log is still to say that this client has logged in. */
  #attempt: Wishes | null = null

  constructor(session: Host, context: ClientContext, listener: EntryListener) {
    this.#session = session
    this.#context = context
    this.#listener = listener
  }

  /** What requests a server in order to welcome the client. */
  get fitting(): Fitting | OwnServer | null {
    return this.#fitting
  }

  /** It is the client's turn to send something, or it is to get a refusal and nothing else. */
  get isAwaited(): boolean {
    if (this.#step === 'authenticating') return this.#authentication?.isAwaited ?? false
    return this.#step === 'greeting' || this.#step === 'agreed' || this.#refusal !== null
  }

  read(buffer: Buffer, start: number, end: number): number {
    let at = start
    try {
      while (this.#step === 'greeting' && at < end && this.#session.isOpen) at = this.#greet(buffer, at, end)
      if (this.#step === 'agreed' && at < end) this.#awaitTurn(AGREED)
      if (this.#step === 'securing' && at < end) {
        this.#secure(Buffer.from(buffer.subarray(at, end)))
        return end
      }
      if (this.#step === 'authenticating' && at < end) at = this.#authenticate(buffer, at, end)
      return at
    } catch (problem) {
      if (!(problem instanceof PoolerError)) throw problem
      this.#listener.onRefused(problem)
      return end
    }
  }

  /** The session is over: gives up what was begun. */
  abandon(): void {
    this.#authentication?.abandon()
    this.#fitting?.abandon()
  }

  #greet(buffer: Buffer, start: number, end: number): number {
    if (this.#greeting.beginsWithTls(buffer, start) && this.#offer !== null) {
      this.#greeting.tlsBegan()
      this.#awaitTurn(DIRECT)
      return start
    }
    const { packet, stoppedAt } = this.#greeting.read(buffer, start, end)
    if (packet?.kind === 'startup') this.#start(packet)
    else if (packet?.kind === 'cancel') this.#cancelAnother(packet.pid, packet.key)
    else if (packet?.kind === 'ssl-request') this.#agree()
    else if (packet !== null) this.send(ANSWER_NO)
    return stoppedAt
  }

  /** The encryption that this client is offered; null for none. */
  get #offer(): ClientEncryption | null {
    const { channel } = this.#session
    return isPath(channel.peer.host) || channel.tls !== '' ? null : this.#context.encryption()
  }

  #agree(): void {
    if (this.#offer === null) this.send(ANSWER_NO)
    else {
      this.#step = 'agreed'
      this.send(ANSWER_YES)
    }
  }

  /**
   * The client has begun with TLS, and its bytes wait until it is its turn. A client takes its place in the queue only when its first bytes
   * have come, so that one that is slow, or never begins, keeps nobody waiting.
   */
  #awaitTurn(opening: Opening): void {
    this.#step = 'working'
    this.#context.handshakes.take(() => {
      if (!this.#session.isOpen) return
      this.#opening = opening
      this.#step = 'securing'
      this.#session.goOn()
    })
  }

  #secure(first: Buffer): void {
    const { channel } = this.#session
    const encryption = this.#offer
    const secured = encryption && offeredTls(channel, encryption, { ...(this.#opening as Opening), first })
    this.#step = 'greeting'
    if (secured === null) this.#listener.onLeft('the connection cannot be encrypted')
    else this.#session.goOnBy(secured)
  }

  /** The client must use TLS, and does not. */
  get #isInTheClear(): boolean {
    const { channel } = this.#session
    return (this.#context.encryption()?.isRequired ?? false) && channel.tls === '' && !isPath(channel.peer.host)
  }

  #cancelAnother(pid: number, key: Buffer): void {
    this.#step = 'working'
    // Clients take the end of this connection as the sign that the cancel cannot hit their next query (see PQcancel).
    this.#context.cancel(pid, key, () => this.#listener.onLeft('cancel request'))
  }

  #start(packet: StartupPacket): void {
    if (this.#isInTheClear) throw new PoolerError('tls-required')
    const { settings, tracked } = this.#context
    const wishes = readWishes(packet, settings().ignoredStartupParameters, tracked)
    this.#wishes = settings().addsHostToApplicationName ? this.#withHost(wishes) : wishes
    this.#listener.onIntroduced(this.#wishes)
    if (packet.minorVersion > 0 || wishes.unknownProtocolParameters.length > 0)
      this.send(encodeNegotiateProtocolVersion(wishes.unknownProtocolParameters))
    this.#step = 'working'
    this.#context.admit(this.#session, wishes, (problem) => {
      if (problem === null) this.#try(() => this.#prove(wishes))
      else this.#listener.onRefused(problem)
    })
  }

  /** Runs a step that may throw. It may run outside of `read`, after others have been asked, so that nobody else catches what it throws. */
  #try(work: () => void): void {
    try {
      work()
    } catch (problem) {
      if (problem instanceof PoolerError) this.#refuse(problem)
      else this.#listener.onBroken(problem)
    }
  }

  #prove(wishes: Wishes): void {
    this.#session.enter(SESSION.authenticating)
    this.#context.authentication(this.#session, wishes, (how) => {
      if (!this.#session.isOpen) return
      if (how instanceof PoolerError) this.#listener.onRefused(how)
      else this.#try(() => this.#authenticateBy(how))
    })
  }

  #authenticateBy(how: AuthenticationOptions): void {
    this.#step = 'authenticating'
    const { log } = this.#context
    if (log.isDebug) log.debug(`must authenticate: ${describeProof(how)}`, { subject: this.#session.subject })
    this.#authentication = new Authentication(how, this)
    this.#authentication.start()
    // Read what came while others were asked.
    this.#session.goOn()
  }

  #withHost(wishes: Wishes): Wishes {
    const peer = describeAddress(this.#session.channel.peer)
    const name = wishes.settings.get('application_name') ?? ''
    const withHost = `${name === '' ? 'app' : name} - ${peer}`
    const settings = new Map(wishes.settings).set('application_name', withHost)
    const isForwarded = wishes.replication !== 'none'
    const forwarded = isForwarded ? new Map(wishes.forwarded).set('application_name', withHost) : wishes.forwarded
    return { ...wishes, settings, forwarded }
  }

  #authenticate(buffer: Buffer, start: number, end: number): number {
    const authentication = this.#authentication as Authentication
    const at = authentication.read(buffer, start, end)
    if (authentication.leaves) this.#listener.onLeft(CLOSE_REQUEST)
    return at
  }

  send(message: Buffer): void {
    this.#session.send(message)
  }

  onRejected(problem: PoolerError): void {
    this.#step = 'working'
    if (!UNPROVED.includes(problem.kind)) {
      this.#listener.onRefused(problem)
      return
    }
    this.#context.onUnproved(this.#session, (delayMs) => {
      if (delayMs > 0) this.#refusal = { problem, dueMs: this.#session.clock.nowMs + delayMs }
      else this.#listener.onRefused(problem)
    })
  }

  /** Called by the janitor. */
  sweep(nowMs: number): void {
    if (this.#refusal !== null && nowMs >= this.#refusal.dueMs) this.#listener.onRefused(this.#refusal.problem)
  }

  onBroken(error: unknown): void {
    this.#listener.onBroken(error)
  }

  onProved(proof: Proof, last: Buffer | null): void {
    const wishes = this.#wishes as Wishes
    this.#authentication = null
    this.#step = 'working'
    this.#last = last
    this.#try(() =>
      this.#context.destination(this.#session, wishes, proof, (destination) => {
        if (destination instanceof PoolerError) this.#refuse(destination)
        else this.#try(() => this.#go(destination, wishes))
      }),
    )
    this.#sendLast()
  }

  #sendLast(): void {
    const last = this.#last
    this.#last = null
    if (last !== null && this.#session.isOpen) this.send(last)
  }

  #refuse(notice: Notice): void {
    this.#sendLast()
    this.#listener.onRefused(notice)
  }

  #enter(reception: Buffer, handler: Handler): void {
    const last = this.#last
    this.#last = null
    this.#listener.onEntered(last === null ? reception : Buffer.concat([last, reception]), handler)
    this.#logAttempt()
    this.#session.goOn()
  }

  /** Behind the welcome, for which the client waits, but ahead of all that is logged about the rest of its session. */
  #logAttempt(): void {
    if (this.#attempt === null) return
    const { database, user, replication } = this.#attempt
    this.#attempt = null
    const { channel, subject, id: client } = this.#session
    this.#context.log.info(
      `login attempt: db=${database} user=${user} tls=${channel.tls || 'no'} replication=${replication === 'none' ? 'no' : replication}`,
      { subject, database, user, client },
    )
  }

  #go(destination: Destination, wishes: Wishes): void {
    this.#session.enter(SESSION.welcoming)
    if (this.#context.settings().logsConnections) this.#attempt = wishes
    if (destination.kind === 'console')
      this.#enter(encodeReception(destination.parameters), destination.open(this.#session))
    else if (destination.pool.isOfOneClient) this.#takeOwn(destination.pool)
    else this.#fit(destination.pool, wishes)
    // The client may have to wait for a server.
    this.#logAttempt()
  }

  #loggedIn({ counters, durations }: Pool): void {
    counters.clientLogins++
    durations.login.note(this.#session.clock.nowMs - this.#session.connectedMs)
  }

  #takeOwn(pool: Pool): void {
    const own = new OwnServer(pool, {
      onOwned: (server) => {
        this.#fitting = null
        const { profile } = server
        const relay = new Relay(this.#session, pool, profile)
        relay.own(server)
        this.#loggedIn(pool)
        this.#enter(receptionOf(pool, profile), relay)
      },
      onUnfit: (notice) => this.#refuse(notice),
    })
    this.#fitting = own
    own.start()
  }

  #fit(pool: Pool, wishes: Wishes): void {
    // Settings that the pool's servers are opened with need not be set on them.
    const settings =
      pool.birth.size === 0 ? wishes.settings : new Map([...wishes.settings].filter(([name]) => !pool.birth.has(name)))
    this.#fitting = new Fitting(pool, settings, {
      onFitted: (profile) => {
        this.#fitting = null
        if (!this.#session.isOpen) return
        this.#loggedIn(pool)
        this.#enter(receptionOf(pool, profile), new Relay(this.#session, pool, profile))
      },
      onUnfit: (notice) => {
        const other = this.#context.otherDestination(this.#session, wishes, notice)
        if (other === null) this.#refuse(notice)
        else this.#fit(other, wishes)
      },
    })
    this.#fitting.start()
  }
}

/** For the log. With `ldap` and `pam` only the directory or PAM knows the secret, and with `any` nobody has one. */
function describeProof({ type, secret }: AuthenticationOptions): string {
  if (secret !== null) return `${type}, user has a secret of kind ${secret.kind}`
  return ['ldap', 'pam', 'any'].includes(type) ? type : `${type}, user is unknown`
}
