/** Opens a server: dials, encrypts the connection, logs in and runs `connect_query`. */

import type { Address, Channel, ChannelListener, Dial, KeepAlive, Transport } from '../net/channel.ts'
import { describeListening } from '../net/unix-sockets.ts'
import { PoolerError } from '../problems.ts'
import { decodeParameterStatus } from '../wire/backend.ts'
import type { FrameSink, Refusal } from '../wire/frames.ts'
import { MAX_OPENING_REPORTS_BYTES } from '../wire/limits.ts'
import type { Notice } from '../wire/notices.ts'
import { understand } from '../wire/reported-text.ts'
import { encodeStartup } from '../wire/startup.ts'
import { BACKEND } from '../wire/types.ts'
import { encrypt, type ServerEncryption } from './encryption.ts'
import { Login, type LoginListener, type LoginResult, type ServerIdentity } from './login.ts'
import type { OutsideLease } from './outside-lease.ts'

/** The part of `ServerContext` that opening a server needs. */
export interface OpeningContext {
  readonly transport: Transport
  readonly keepAlive: KeepAlive
  readonly identity: ServerIdentity
  /** SQL that runs after the login, before anybody uses the server; empty for none. */
  readonly connectQuery: string
}

/** The server. It is notified of each step and of the end: by `onOpened`, by `onOpeningFailed` or by its channel. */
export interface OpeningOwner extends ChannelListener {
  readonly context: OpeningContext
  /** The address to connect to. */
  readonly address: Address
  /** Runs `work`, and ends the server if it throws. */
  guard(work: () => void): void
  send(message: Buffer): void
  /** The channel is open and has no listener yet; nothing has been sent to Postgres. Call `begin` to continue. */
  onConnected(channel: Channel): void
  /** Everything else goes over this channel, which has no listener yet. */
  onEncrypted(channel: Channel): void
  /** The server has sent a notice during its login. */
  onLoginNotice(notice: Notice): void
  /** `connect_query` is still to come. */
  onLoggedIn(result: LoginResult): void
  onOpened(result: LoginResult): void
  /**
   * @param problem the server's own error or ours
   * @param reason for the log, if there was no login
   */
  onOpeningFailed(problem: Notice, reason?: string): void
}

/** One attempt to open a server. Its frames arrive whole. */
export class ServerOpening implements FrameSink, LoginListener {
  readonly #owner: OpeningOwner
  readonly #outsideLease: OutsideLease
  #dial: Dial | null = null
  #login: Login | null = null
  /** The settings that the server has reported, from the login on. */
  #parameters = new Map<string, string>()
  /** The size of what the server has reported so far. */
  #reportedBytes = 0

  constructor(owner: OpeningOwner, outsideLease: OutsideLease) {
    this.#owner = owner
    this.#outsideLease = outsideLease
  }

  dial(): void {
    const owner = this.#owner
    const { address } = owner
    const { transport, keepAlive } = owner.context
    this.#dial = transport.dial(
      { address, keepAlive },
      {
        onConnected: (channel) => {
          this.#dial = null
          owner.guard(() => owner.onConnected(channel))
        },
        onFailed: (problem) =>
          owner.guard(() =>
            owner.onOpeningFailed(connectFailed(address, problem), `connect failed: ${problem.message}`),
          ),
      },
    )
  }

  /** Begins to talk to Postgres over the channel. @param encryption null if the connection is not to be encrypted */
  begin(channel: Channel, encryption: ServerEncryption | null): void {
    const owner = this.#owner
    if (encryption === null) this.#logIn(channel)
    else
      encrypt(channel, encryption, owner.address.host, (result) => owner.guard(() => this.#encrypted(channel, result)))
  }

  /** The server is closed: stops dialing and logging in. */
  abandon(): void {
    this.#dial?.abandon()
    this.#login?.abandon()
  }

  #encrypted(before: Channel, result: Channel | Error): void {
    const owner = this.#owner
    if (!(result instanceof Error)) {
      owner.onEncrypted(result)
      this.#logIn(result)
    } else if (before.isOpen) {
      before.listener = owner
      owner.onOpeningFailed(new PoolerError('server-login-failing', { error: result.message }))
    } else owner.onClosed(result)
  }

  #logIn(channel: Channel): void {
    const { identity } = this.#owner.context
    this.#login = new Login(identity, this, () => channel.serverCertificate)
    this.send(
      encodeStartup(new Map([['user', identity.user], ['database', identity.database], ...identity.parameters])),
    )
  }

  // Login

  send(message: Buffer): void {
    this.#owner.send(message)
  }

  onNotice(notice: Notice): void {
    this.#owner.onLoginNotice(notice)
  }

  onLoggedIn(result: LoginResult): void {
    const owner = this.#owner
    const { connectQuery } = owner.context
    this.#login = null
    owner.onLoggedIn(result)
    if (connectQuery === '') {
      owner.onOpened(result)
      return
    }
    const parameters = new Map(result.parameters)
    this.#parameters = parameters
    this.#outsideLease.connect(connectQuery, (error) => {
      if (error) owner.onOpeningFailed(error)
      else owner.onOpened({ ...result, parameters })
    })
  }

  onLoginFailed(problem: Notice): void {
    this.#owner.onOpeningFailed(problem)
  }

  // From the server

  frame(type: number, buffer: Buffer, start: number, end: number): boolean {
    if (type === BACKEND.parameterStatus || type === BACKEND.notice) {
      this.#reportedBytes += end - start
      if (this.#reportedBytes > MAX_OPENING_REPORTS_BYTES) {
        this.#owner.onOpeningFailed(new PoolerError('server-login-failed', { reason: TOO_MANY_REPORTS }))
        return true
      }
    }
    if (this.#login === null && type === BACKEND.parameterStatus) this.#noteParameter(buffer, start, end)
    // Messages that arrive before the login begins or after its end do not belong to it.
    return (this.#login ?? this.#outsideLease).frame(type, buffer, start, end)
  }

  /** Clients are welcomed with the settings as `connect_query` leaves them. */
  #noteParameter(buffer: Buffer, start: number, end: number): void {
    const parameter = decodeParameterStatus(buffer, start, end)
    const encoding = this.#parameters.get('client_encoding') ?? 'UTF8'
    if (parameter) this.#parameters.set(parameter.name, understand(parameter.value, encoding))
  }

  pass(): void {}

  rest(): void {}

  refuse(type: number, length: number, why: Refusal): void {
    const sink = this.#login ?? this.#outsideLease
    sink.refuse(type, length, why)
  }
}

const TOO_MANY_REPORTS = `the server sent more than ${MAX_OPENING_REPORTS_BYTES} bytes of settings and notices`

function connectFailed(address: Address, problem: Error): PoolerError {
  const error = `connect to ${describeListening(address)} failed: ${problem.message}`
  return new PoolerError('server-login-failing', { error }, { cause: problem })
}
