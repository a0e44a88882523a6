/** Logs a server connection in: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP */

import { endPointHash } from '../auth/channel-binding.ts'
import { md5Answer } from '../auth/md5.ts'
import { ScramClient } from '../auth/scram-client.ts'
import type { ScramKeys } from '../auth/scram-keys.ts'
import { SCRAM_MECHANISM } from '../auth/scram-messages.ts'
import type { Secret } from '../auth/secrets.ts'
import { PoolerError } from '../problems.ts'
import { AUTHENTICATION, decodeParameterStatus, decodeSaslMechanisms } from '../wire/backend.ts'
import type { FrameSink, Refusal } from '../wire/frames.ts'
import { HEADER_BYTES } from '../wire/frames.ts'
import { encodePassword, encodeSaslInitial, encodeSaslResponse } from '../wire/frontend.ts'
import { decodeNotice, type Notice } from '../wire/notices.ts'
import { understand } from '../wire/reported-text.ts'
import { BACKEND, typeName } from '../wire/types.ts'

/** Who logs in to which database, and with what. */
export interface ServerIdentity {
  readonly user: string
  readonly database: string
  /** Sent in the startup packet, so that they are the defaults on this server. */
  readonly parameters: ReadonlyMap<string, string>
  /** What is known of the password. Called for each login, since it may have been learned from a client meanwhile. */
  secret(): Secret | null
  /** The SCRAM keys obtained from a client's login, if there was one. */
  scramKeys(): ScramKeys | null
}

export interface LoginResult {
  readonly parameters: ReadonlyMap<string, string>
  readonly pid: number
  readonly cancelKey: Buffer
}

export interface LoginListener {
  send(message: Buffer): void
  /** The server has something to say: a login trigger, or a warning about the database's collation, for example. */
  onNotice(notice: Notice): void
  onLoggedIn(result: LoginResult): void
  /** `problem` is the server's own error or ours. */
  onLoginFailed(problem: Notice): void
}

const NO_KEY = Buffer.alloc(0)

/** PostgreSQL does not know the client's protocol version at that point, so it uses the format of protocol 2: type and text, without a length. */
export const CANNOT_START = 'as PostgreSQL does when it cannot start a process for a connection; see its log'

/** One login. Its frames arrive whole. Deriving SCRAM keys takes long and runs elsewhere, so an answer may be sent after `frame` has returned. */
export class Login implements FrameSink {
  readonly #identity: ServerIdentity
  readonly #listener: LoginListener
  /** Returns the server's certificate; called once the server has begun to answer. */
  readonly #certificate: () => Buffer | null
  readonly #parameters = new Map<string, string>()
  #scram: ScramClient | null = null
  #isAuthenticated = false
  #pid = 0
  #cancelKey: Buffer = NO_KEY
  #isOver = false

  constructor(identity: ServerIdentity, listener: LoginListener, certificate: () => Buffer | null = () => null) {
    this.#identity = identity
    this.#listener = listener
    this.#certificate = certificate
  }

  frame(type: number, buffer: Buffer, start: number, end: number): boolean {
    if (this.#isOver) return true
    try {
      this.#understand(type, buffer, start, end)
    } catch (problem) {
      if (!(problem instanceof PoolerError)) throw problem
      this.#fail(problem)
    }
    return true
  }

  pass(): void {}

  rest(): void {}

  refuse(type: number, length: number, why: Refusal): void {
    if (type === BACKEND.error)
      this.#fail(loginFailed(`the server sent an error that does not follow protocol 3, ${CANNOT_START}`))
    else this.#fail(nonsense(`it sent a message of type ${typeName(type)} and length ${length} (${why})`))
  }

  #understand(type: number, buffer: Buffer, start: number, end: number): void {
    switch (type) {
      case BACKEND.authentication:
        this.#authenticate(Buffer.from(buffer.subarray(start, end)))
        return
      case BACKEND.parameterStatus: {
        const parameter = decodeParameterStatus(buffer, start, end)
        if (!parameter) throw nonsense('it sent a broken ParameterStatus')
        this.#parameters.set(parameter.name, parameter.value)
        return
      }
      case BACKEND.backendKeyData:
        if (end - start < 13) throw nonsense('it sent a broken BackendKeyData')
        this.#pid = buffer.readInt32BE(start + HEADER_BYTES)
        this.#cancelKey = Buffer.from(buffer.subarray(start + HEADER_BYTES + 4, end))
        return
      case BACKEND.error:
        this.#fail(decodeNotice(buffer, start, end))
        return
      case BACKEND.notice:
        this.#listener.onNotice(decodeNotice(buffer, start, end))
        return
      case BACKEND.negotiateProtocolVersion:
        return
      case BACKEND.readyForQuery:
        if (!this.#isAuthenticated) throw nonsense('it sent ReadyForQuery before the login was complete')
        this.#isOver = true
        this.#listener.onLoggedIn({ parameters: this.#understood(), pid: this.#pid, cancelKey: this.#cancelKey })
        return
      default:
        throw nonsense(`it sent a message of type ${typeName(type)} during the login`)
    }
  }

  #understood(): ReadonlyMap<string, string> {
    const encoding = this.#parameters.get('client_encoding') ?? 'UTF8'
    return new Map([...this.#parameters].map(([name, value]) => [name, understand(value, encoding)]))
  }

  #authenticate(frame: Buffer): void {
    if (frame.length < HEADER_BYTES + 4) throw nonsense('it sent a broken authentication request')
    const request = frame.readInt32BE(HEADER_BYTES)
    const data = frame.subarray(HEADER_BYTES + 4)
    switch (request) {
      case AUTHENTICATION.ok:
        if (this.#scram && !this.#scram.isVerified) throw nonsense('it did not prove that it knows the password')
        this.#isAuthenticated = true
        return
      case AUTHENTICATION.cleartext: {
        const secret = this.#identity.secret()
        if (secret?.kind !== 'plain') throw this.#wrongType('a plain password')
        this.#listener.send(encodePassword(secret.password))
        return
      }
      case AUTHENTICATION.md5: {
        const secret = this.#identity.secret()
        if (data.length !== 4) throw nonsense('it sent a broken md5 request')
        if (secret === null || secret.kind === 'scram') throw this.#wrongType('an md5 password')
        this.#listener.send(encodePassword(md5Answer(secret, this.#identity.user, data)))
        return
      }
      case AUTHENTICATION.sasl:
        this.#beginScram(decodeSaslMechanisms(frame))
        return
      case AUTHENTICATION.saslContinue:
        this.#continueScram(data)
        return
      case AUTHENTICATION.saslFinal:
        if (!this.#scram) throw nonsense('it ended a SASL exchange that had not begun')
        this.#scram.verify(data)
        return
      default:
        throw new PoolerError('server-login-failed', {
          reason: `the server asks for authentication method ${request}, which is not supported`,
        })
    }
  }

  #beginScram(mechanisms: readonly string[]): void {
    if (this.#scram) throw nonsense('it began a second SASL exchange')
    if (!mechanisms.includes(SCRAM_MECHANISM)) throw this.#wrongType(`one of ${mechanisms.join(', ')}`)
    const secret = this.#identity.secret()
    const credential = secret?.kind === 'plain' ? secret : this.#identity.scramKeys()
    if (!credential) throw this.#wrongType(SCRAM_MECHANISM)
    const certificate = this.#certificate()
    this.#scram = new ScramClient(credential, {
      offered: mechanisms,
      binding: certificate && endPointHash(certificate),
    })
    this.#listener.send(encodeSaslInitial(this.#scram.mechanism, this.#scram.first()))
  }

  /** The error says what is known of the password and why that is not enough. */
  #wrongType(method: string): PoolerError {
    const known = knownOf(this.#identity, method)
    return new PoolerError('server-wrong-password-type', { method, known })
  }

  #continueScram(data: Buffer): void {
    const scram = this.#scram
    if (!scram) throw nonsense('it continued a SASL exchange that had not begun')
    scram.final(data).then(
      (message) => {
        if (!this.#isOver) this.#listener.send(encodeSaslResponse(message))
      },
      (problem: unknown) => {
        this.#fail(
          problem instanceof PoolerError
            ? problem
            : new PoolerError('server-login-failed', { reason: String(problem) }),
        )
      },
    )
  }

  /** The connection is gone, or the login has taken too long: sends no more answers. */
  abandon(): void {
    this.#isOver = true
  }

  #fail(problem: Notice): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#listener.onLoginFailed(problem)
  }
}

function nonsense(reason: string): PoolerError {
  return loginFailed(`the server does not speak the protocol: ${reason}`)
}

function loginFailed(reason: string): PoolerError {
  return new PoolerError('server-login-failed', { reason })
}

function knownOf({ user, secret }: ServerIdentity, method: string): string {
  const name = `user "${user}"`
  switch (secret()?.kind) {
    case undefined:
      return `no password is known for ${name}`
    case 'plain':
      return `the password of ${name} cannot be used for it`
    case 'md5':
      return `only an md5 hash is known for ${name}`
    case 'scram':
      return method === SCRAM_MECHANISM
        ? `only a SCRAM secret is known for ${name}, which can be used only after a client has logged in with it`
        : `only a SCRAM secret is known for ${name}`
  }
}
