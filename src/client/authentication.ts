/**
 * Authenticates a client. A user that does not exist goes through the same steps, with a secret that no password matches.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */

import { randomBytes } from 'node:crypto'
import { createMd5Salt, verifyMd5 } from '../auth/md5.ts'
import { verifyPlain } from '../auth/plain.ts'
import type { ScramKeys } from '../auth/scram-keys.ts'
import { mechanismsFor, ScramServer } from '../auth/scram-server.ts'
import { mockSecret, PlainSecret, type Secret, type SecretShape, saltFor } from '../auth/secrets.ts'
import { PoolerError } from '../problems.ts'
import {
  AUTHENTICATION_CLEARTEXT,
  encodeAuthenticationMd5,
  encodeAuthenticationSasl,
  encodeAuthenticationSaslContinue,
  encodeAuthenticationSaslFinal,
} from '../wire/backend.ts'
import { type FrameSink, Frames, HEADER_BYTES, needsTable, type Refusal, WHOLE } from '../wire/frames.ts'
import { textEnd } from '../wire/frontend.ts'
import { MAX_PASSWORD_BYTES } from '../wire/limits.ts'
import { FRONTEND, typeName } from '../wire/types.ts'

/** With `cert` and `peer` the connection has already proved who the user is; it remains to check that such a user exists. */
export type AuthenticationType = 'any' | 'trust' | 'plain' | 'md5' | 'scram-sha-256' | 'ldap' | 'pam' | 'cert' | 'peer'

export interface AuthenticationOptions {
  readonly type: AuthenticationType
  readonly userName: string
  /** null: there is no such user or, with the types ldap and pam, only the directory or PAM knows the secret. */
  readonly secret: Secret | null
  /** With the types ldap and pam: asks the directory or PAM whether a password is right, which takes a while. */
  readonly elsewhere: ((password: string) => Promise<boolean>) | null
  /**
   * Returns what the secret of a user who does not exist looks like, so that the course of the login reveals nothing. Takes a while: call it at the
   * same point for all users.
   */
  readonly mock: () => SecretShape
  /** The kinds of secret that occur among the users. */
  readonly kinds: ReadonlySet<Secret['kind']>
  readonly scramIterations: number
  /** Random, one for the process: mock salts are derived from it. */
  readonly saltKey: Buffer
  /** The data for channel binding: see `auth/channel-binding.ts`; null if it is not offered. */
  readonly binding: Buffer | null
}

/** What we have learned in a login that a server will ask for too. */
export interface Proof {
  readonly keys: ScramKeys | null
  readonly password: PlainSecret | null
}

export interface AuthenticationListener {
  send(message: Buffer): void
  /** @param last the last message of the authentication, still to be sent: in one piece with what follows, if that is known at once */
  onProved(proof: Proof, last: Buffer | null): void
  onRejected(problem: PoolerError): void
  /** A mistake of ours has come up while an answer was being checked. */
  onBroken(error: unknown): void
}

/** The error for a user that does not exist, by type, where no password is asked for. */
const UNKNOWN = { trust: 'trust-failed', cert: 'certificate-failed', peer: 'peer-failed' } as const

const REFUSED_ELSEWHERE = { ldap: 'ldap-failed', pam: 'pam-failed' } as const

const NOTHING_LEARNT: Proof = { keys: null, password: null }

const NO_SALT = Buffer.alloc(0)

/** Only a password message (`p`) may come. It is held whole, up to its limit. */
const NEEDS = needsTable({
  p: WHOLE,
  ...Object.fromEntries([...'QPBDECSFHdcfX'].map((type) => [type, HEADER_BYTES])),
})

export class Authentication implements FrameSink {
  readonly #options: AuthenticationOptions
  readonly #listener: AuthenticationListener
  readonly #frames = new Frames(MAX_PASSWORD_BYTES)
  #step: 'new' | 'password' | 'md5' | 'sasl-initial' | 'sasl-response' | 'checking' | 'over' = 'new'
  #salt: Buffer = NO_SALT
  #scram: ScramServer | null = null

  constructor(options: AuthenticationOptions, listener: AuthenticationListener) {
    this.#options = options
    this.#listener = listener
  }

  /** The client has asked to leave. */
  leaves = false

  /** It is the client's turn to send something. */
  get isAwaited(): boolean {
    return this.#step !== 'checking' && this.#step !== 'over'
  }

  /** Asks the client to authenticate, or lets it in at once. */
  start(): void {
    const { type } = this.#options
    switch (type) {
      case 'any':
        this.#prove(NOTHING_LEARNT)
        return
      case 'trust':
      case 'cert':
      case 'peer':
        if (this.#options.secret === null) this.#reject(new PoolerError(UNKNOWN[type]))
        else this.#prove(NOTHING_LEARNT)
        return
      case 'plain':
      case 'ldap':
      case 'pam':
        this.#step = 'password'
        this.#listener.send(AUTHENTICATION_CLEARTEXT)
        return
      case 'md5': {
        const mock = this.#options.mock()
        // As in PgBouncer and Postgres: a user with a SCRAM secret logs in by SCRAM.
        if ((this.#options.secret?.kind ?? mock.kind) === 'scram') this.#startScram()
        else {
          this.#step = 'md5'
          this.#salt = createMd5Salt()
          this.#listener.send(encodeAuthenticationMd5(this.#salt))
        }
        return
      }
      case 'scram-sha-256':
        this.#startScram()
    }
  }

  /** Handles what the client sends. Takes nothing while an answer is being checked. */
  read(buffer: Buffer, start: number, end: number): number {
    return this.#frames.read(buffer, start, end, NEEDS, this)
  }

  frame(type: number, buffer: Buffer, start: number, end: number): boolean {
    if (this.#step === 'over') return false
    if (type === FRONTEND.terminate) {
      this.#step = 'over'
      this.leaves = true
      return true
    }
    if (this.#step === 'checking') return false
    if (type !== FRONTEND.password) {
      this.#reject(new PoolerError('message-out-of-turn', { type: typeName(type), when: 'during the login' }))
      return true
    }
    const body = Buffer.from(buffer.subarray(start + HEADER_BYTES, end))
    this.#attempt(() => this.#understand(body))
    return true
  }

  rest(): void {}

  pass(): void {}

  refuse(type: number, length: number, why: Refusal): void {
    if (why === 'too-large') this.#reject(new PoolerError('password-too-long', { limit: MAX_PASSWORD_BYTES }))
    else if (why === 'unknown') this.#reject(new PoolerError('unknown-message', { type: typeName(type) }))
    else this.#reject(new PoolerError('bad-length', { type: typeName(type), length: length - 1 }))
  }

  /** The session is over: no answer is given any more. */
  abandon(): void {
    this.#step = 'over'
  }

  #understand(body: Buffer): void {
    switch (this.#step) {
      case 'password':
        this.#checkPassword(passwordOf(body))
        return
      case 'md5': {
        const answer = passwordOf(body)
        if (answer.length === 0) throw new PoolerError('empty-password')
        const { secret, userName } = this.#options
        if (verifyMd5(secret, userName, this.#salt, answer.toString('latin1'))) this.#prove(NOTHING_LEARNT)
        else this.#reject(new PoolerError('password-failed'))
        return
      }
      case 'sasl-initial':
        this.#listener.send(encodeAuthenticationSaslContinue(this.#beginScram(body)))
        this.#scram?.foresee()
        return
      case 'sasl-response':
        this.#checkScram(body)
        return
      default:
        throw new PoolerError('message-out-of-turn', { type: "'p'", when: 'now' })
    }
  }

  #checkPassword(password: Buffer): void {
    if (password.length === 0) throw new PoolerError('empty-password')
    this.#step = 'checking'
    const { type, userName, secret, kinds, scramIterations } = this.#options
    if (type === 'ldap' || type === 'pam') {
      this.#askElsewhere(password, REFUSED_ELSEWHERE[type])
      return
    }
    const idleIterations = kinds.has('scram') ? scramIterations : null
    this.#await(verifyPlain(secret ?? this.#mockSecret(), userName, password, idleIterations), (isRight) => {
      if (!isRight || !secret) throw new PoolerError('password-failed')
      this.#prove({ keys: null, password: new PlainSecret(password.toString()) })
    })
  }

  #askElsewhere(bytes: Buffer, refusal: 'ldap-failed' | 'pam-failed'): void {
    const { elsewhere } = this.#options
    const password = bytes.toString()
    // A password that is not UTF-8, or contains a zero byte, is nobody's in a directory.
    const isText = Buffer.from(password).equals(bytes) && !password.includes('\0')
    this.#await(isText && elsewhere !== null ? elsewhere(password) : Promise.resolve(false), (isRight) => {
      if (!isRight) throw new PoolerError(refusal)
      this.#prove({ keys: null, password: new PlainSecret(password) })
    })
  }

  /** Returns a secret that nobody knows, and that takes as long to check as those of real users. */
  #mockSecret(): Secret {
    const { userName, kinds, saltKey } = this.#options
    return kinds.has('scram') ? mockSecret(saltFor(userName, '', saltKey), this.#mockIterations()) : NOBODYS_PASSWORD
  }

  #mockIterations(): number {
    return this.#options.mock().iterations ?? this.#options.scramIterations
  }

  #startScram(): void {
    const { type, userName, secret, kinds, scramIterations, saltKey, binding } = this.#options
    this.#step = 'sasl-initial'
    this.#listener.send(encodeAuthenticationSasl(mechanismsFor(binding)))
    // The client is at work on its answer meanwhile.
    this.#scram = new ScramServer(userName, secret, {
      iterations: scramIterations,
      mockIterations: this.#mockIterations(),
      saltKey,
      // With the type md5, a user whose plain password we have does not get here.
      hidesWork: type === 'scram-sha-256' && kinds.has('plain'),
      binding,
    })
  }

  /** SASLInitialResponse: mechanism, length, data. */
  #beginScram(body: Buffer): Buffer {
    const nameEnd = textEnd(body, 0, body.length)
    if (nameEnd === -1 || body.length < nameEnd + 5)
      throw new PoolerError('bad-message', { what: 'SASLInitialResponse' })
    const scram = this.#scram as ScramServer
    const mechanism = body.toString('latin1', 0, nameEnd)
    if (!mechanismsFor(this.#options.binding).includes(mechanism)) throw new PoolerError('bad-sasl-mechanism')
    const data = body.subarray(nameEnd + 5)
    if (body.readInt32BE(nameEnd + 1) !== data.length)
      throw new PoolerError('bad-message', { what: 'SASLInitialResponse' })
    this.#step = 'sasl-response'
    return scram.start(data, mechanism)
  }

  #checkScram(body: Buffer): void {
    this.#step = 'checking'
    this.#await((this.#scram as ScramServer).finish(body), (outcome) => {
      if (!outcome.ok || !this.#options.secret) throw new PoolerError('sasl-failed')
      if (this.#step === 'over') return
      this.#prove({ keys: outcome.keys, password: null }, encodeAuthenticationSaslFinal(outcome.serverFinal))
    })
  }

  /** Continues with the result of work that takes a while and happens elsewhere, such as deriving keys. */
  #await<Result>(work: Promise<Result>, next: (result: Result) => void): void {
    work
      .then((result) => this.#attempt(() => next(result)))
      .catch((cause: unknown) => {
        if (cause instanceof PoolerError) this.#reject(cause)
        else this.#listener.onBroken(cause)
      })
  }

  #attempt(step: () => void): void {
    try {
      step()
    } catch (problem) {
      if (!(problem instanceof PoolerError)) throw problem
      this.#reject(problem)
    }
  }

  #prove(proof: Proof, last: Buffer | null = null): void {
    if (this.#step === 'over') return
    this.#step = 'over'
    this.#listener.onProved(proof, last)
  }

  #reject(problem: PoolerError): void {
    if (this.#step === 'over') return
    this.#step = 'over'
    this.#listener.onRejected(problem)
  }
}

/** PasswordMessage: a string. */
function passwordOf(body: Buffer): Buffer {
  if (body.length === 0 || body[body.length - 1] !== 0) throw new PoolerError('bad-message', { what: 'Password' })
  return body.subarray(0, body.length - 1)
}

const NOBODYS_PASSWORD = new PlainSecret(randomBytes(16).toString('hex'))
