/** The client's side of SCRAM-SHA-256, with which we log in to a server. One object for each login. */

import { invariant } from '../base/invariant.ts'
import { PoolerError } from '../problems.ts'
import { encodeBase64 } from './base64.ts'
import { equalInConstantTime } from './constant-time.ts'
import { type KeyDerivation, keyDerivation } from './key-derivation.ts'
import { clientProof, deriveScramKeys, ScramKeys, serverSignature } from './scram-keys.ts'
import {
  authMessage,
  type BindingFlag,
  channelBindingFor,
  createNonce,
  headerFor,
  parseServerFinal,
  parseServerFirst,
  SCRAM_MECHANISM,
  SCRAM_PLUS_MECHANISM,
} from './scram-messages.ts'
import type { PlainSecret } from './secrets.ts'

export interface ScramClientOptions {
  /** The hash to bind to this connection; null if channel binding is not possible. */
  readonly binding?: Buffer | null
  /** The mechanisms that the server offers; by default, only the one without channel binding. */
  readonly offered?: readonly string[]
  readonly derivation?: KeyDerivation
  /** Only for tests. */
  readonly nonce?: string
}

type State =
  | { name: 'new' }
  | { name: 'first sent'; bare: string }
  | { name: 'deriving' }
  | { name: 'final sent'; signature: Buffer }
  | { name: 'verified' }

export class ScramClient {
  readonly #credential: PlainSecret | ScramKeys
  readonly #derivation: KeyDerivation
  readonly #nonce: string
  readonly #binding: Buffer | null
  readonly #flag: BindingFlag
  #state: State = { name: 'new' }

  /**
   * `credential` is a password, or the keys from the login of a client that has proved its password against the same secret that the server
   * keeps. A `ScramSecret` is not enough: it can verify a proof, not make one.
   */
  constructor(credential: PlainSecret | ScramKeys, options: ScramClientOptions = {}) {
    this.#credential = credential
    this.#derivation = options.derivation ?? keyDerivation
    this.#nonce = options.nonce ?? createNonce()
    this.#binding = options.binding ?? null
    const isOffered = options.offered?.includes(SCRAM_PLUS_MECHANISM) ?? false
    // `y` says that we support channel binding but were not offered it, so a server that did offer it learns that its offer was tampered with.
    this.#flag = this.#binding === null ? 'n' : isOffered ? 'p' : 'y'
  }

  get mechanism(): string {
    return this.#flag === 'p' ? SCRAM_PLUS_MECHANISM : SCRAM_MECHANISM
  }

  /** Whether the server has proved that it knows the secret, too. An AuthenticationOk before that must not be trusted. */
  get isVerified(): boolean {
    return this.#state.name === 'verified'
  }

  first(): Buffer {
    invariant(this.#state.name === 'new', 'a SCRAM login is begun twice')
    // Postgres uses the user name in the startup packet, so leave this one empty, as libpq does.
    const bare = `n=,r=${this.#nonce}`
    this.#state = { name: 'first sent', bare }
    return Buffer.from(headerFor(this.#flag) + bare, 'latin1')
  }

  /** Returns our final message. Rejects with `server-login-failed`, or `server-wrong-password-type` if our keys belong to another secret. */
  async final(serverFirst: Buffer): Promise<Buffer> {
    const state = this.#state
    if (state.name !== 'first sent') throw failed('the server continued the SASL exchange out of turn')
    this.#state = { name: 'deriving' }
    const { nonce, salt, iterations, text } = fromServer(() => parseServerFirst(serverFirst))
    if (!nonce.startsWith(this.#nonce) || nonce === this.#nonce) throw failed('the nonce does not match')

    const keys = await this.#keysFor(salt, iterations)
    const withoutProof = `c=${channelBindingFor(this.#flag, this.#binding)},r=${nonce}`
    const signed = authMessage(state.bare, text, withoutProof)
    this.#state = { name: 'final sent', signature: serverSignature(keys.serverKey, signed) }
    return Buffer.from(`${withoutProof},p=${encodeBase64(clientProof(keys.clientKey, signed))}`, 'latin1')
  }

  /** Throws `server-login-failed` unless the server has proved that it knows the secret. */
  verify(serverFinal: Buffer): void {
    const state = this.#state
    if (state.name !== 'final sent') throw failed('the server ended the SASL exchange out of turn')
    const final = fromServer(() => parseServerFinal(serverFinal))
    if ('error' in final) throw failed(`the server answered "${final.error}"`)
    if (!equalInConstantTime(final.signature, state.signature)) {
      throw failed('the server could not prove that it knows the password')
    }
    this.#state = { name: 'verified' }
  }

  async #keysFor(salt: Buffer, iterations: number): Promise<ScramKeys> {
    const credential = this.#credential
    if (!(credential instanceof ScramKeys)) {
      return deriveScramKeys(credential.password, salt, iterations, this.#derivation)
    }
    if (credential.fits(salt, iterations)) return credential
    throw new PoolerError('server-wrong-password-type', {
      method: `${SCRAM_MECHANISM} with another salt or iteration count`,
      known: 'the known SCRAM secret is therefore not the one that the server has',
    })
  }
}

/** Reports a server's malformed message as a failed login: "malformed message" alone would read as if a client had sent it. */
function fromServer<T>(parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    if (cause instanceof PoolerError) throw failed(cause.message, cause)
    throw cause
  }
}

function failed(reason: string, cause?: unknown): PoolerError {
  return new PoolerError('server-login-failed', { reason }, { cause })
}
