/** Opens a server: dials, has the connection encrypted, logs in and runs `connect_query`. The server lets go of it then. */

import type { Address, Channel, ChannelListener, Dial, KeepAlive, Transport } from '../net/channel.ts'
import { describeListening } from '../net/unix-sockets.ts'
import { PoolerError } from '../problems.ts'
import { decodeParameterStatus } from '../wire/backend.ts'
import type { FrameSink, Refusal } from '../wire/frames.ts'
import type { Notice } from '../wire/notices.ts'
import { understand } from '../wire/reported-text.ts'
import { encodeStartup } from '../wire/startup.ts'
import { BACKEND } from '../wire/types.ts'
import { encrypt, type ServerEncryption } from './encryption.ts'
import { Login, type LoginListener, type LoginResult, type ServerIdentity } from './login.ts'
import type { OutsideLease } from './outside-lease.ts'

/** What the opening of a server needs of what all servers of one pool share. */
export interface OpeningContext {
  readonly transport: Transport
  readonly keepAlive: KeepAlive
  readonly identity: ServerIdentity
  /** SQL that runs after the login, before anybody uses the server; empty for none. */
  readonly connectQuery: string
}

/** The server. It is told each step, and the end: `onOpened` or `onOpeningFailed`, or what its channel tells it. */
export interface OpeningOwner extends ChannelListener {
  readonly context: OpeningContext
  /** Where it is to be connected. */
  readonly address: Address
  /** Runs what may break; the server ends with what is thrown. */
  guard(work: () => void): void
  send(message: Buffer): void
  /** Postgres knows nothing of it yet, and nobody listens. `begin` follows. */
  onConnected(channel: Channel): void
  /** All goes on over this channel, to which nobody listens yet. */
  onEncrypted(channel: Channel): void
  /** `connect_query` is still to come. */
  onLoggedIn(result: LoginResult): void
  onOpened(result: LoginResult): void
  /**
   * @param problem the server's own error, or ours
   * @param reason for the log, where it did not come to a login
   */
  onOpeningFailed(problem: Notice, reason?: string): void
}

/** Its frames come whole. */
export class ServerOpening implements FrameSink, LoginListener {
  readonly #owner: OpeningOwner
  readonly #outsideLease: OutsideLease
  #dial: Dial | null = null
  #login: Login | null = null
  /** What the server reports, once it has let us in. */
  #parameters = new Map<string, string>()

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

  /** Postgres is spoken to from here. @param encryption null: the connection is not encrypted */
  begin(channel: Channel, encryption: ServerEncryption | null): void {
    const owner = this.#owner
    if (encryption === null) this.#logIn(channel)
    else
      encrypt(channel, encryption, owner.address.host, (result) => owner.guard(() => this.#encrypted(channel, result)))
  }

  /** The server is closed: it is neither connected nor logged in any more. */
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
    if (this.#login === null && type === BACKEND.parameterStatus) this.#noteParameter(buffer, start, end)
    // What comes before the login, or behind its end, is not the login's.
    return (this.#login ?? this.#outsideLease).frame(type, buffer, start, end)
  }

  /** What `connect_query` sets is what clients are welcomed with. */
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

function connectFailed(address: Address, problem: Error): PoolerError {
  const error = `connect to ${describeListening(address)} failed: ${problem.message}`
  return new PoolerError('server-login-failing', { error }, { cause: problem })
}
