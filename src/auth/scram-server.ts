/** The server's side of SCRAM-SHA-256: we verify a client. One object for one login. */

import { invariant } from '../base/invariant.ts'
import { PoolerError } from '../problems.ts'
import { encodeBase64 } from './base64.ts'
import { equalInConstantTime } from './constant-time.ts'
import { type KeyDerivation, keyDerivation } from './key-derivation.ts'
import { clientKeyBehind, deriveScramKeys, ScramKeys, serverSignature, sha256 } from './scram-keys.ts'
import { authMessage, channelBindingFor, createNonce, parseClientFinal, parseClientFirst } from './scram-messages.ts'
import { adHocSalt, mockSecret, type PlainSecret, type ScramSecret, type Secret } from './secrets.ts'

export interface ScramServerOptions {
  /** The setting `scram_iterations`, for users whose password we hold and for users that do not exist. */
  readonly iterations: number
  readonly saltKey: Buffer
  readonly derivation?: KeyDerivation
  /** Only for tests: our half of the nonce. */
  readonly nonce?: string
}

export type ScramOutcome = { ok: true; serverFinal: Buffer; keys: ScramKeys } | { ok: false }

/** What a proof is checked against, once it is there. */
type Verifier = Pick<ScramSecret, 'storedKey' | 'serverKey'>

interface Exchange {
  readonly name: 'started'
  readonly channelBinding: string
  readonly nonce: string
  readonly clientFirstBare: string
  readonly serverFirst: string
  readonly verifier: Promise<Verifier>
}

type State = { name: 'new' } | Exchange | { name: 'finished' }

export class ScramServer {
  readonly #secret: PlainSecret | ScramSecret
  readonly #salt: Buffer
  readonly #iterations: number
  readonly #derivation: KeyDerivation
  readonly #nonce: string
  #state: State = { name: 'new' }

  /** For a user that does not exist, give `mockSecret`: from here on nothing differs but that no proof fits. */
  constructor(userName: string, secret: Secret, options: ScramServerOptions) {
    const { iterations, saltKey } = options
    this.#secret = isUsable(secret) ? secret : mockSecret(userName, saltKey, iterations)
    this.#salt = this.#secret.kind === 'scram' ? this.#secret.salt : adHocSalt(userName, this.#secret.password, saltKey)
    this.#iterations = this.#secret.kind === 'scram' ? this.#secret.iterations : iterations
    this.#derivation = options.derivation ?? keyDerivation
    this.#nonce = options.nonce ?? createNonce()
  }

  /** Takes the first message, returns ours. Throws `bad-sasl-message`. */
  start(clientFirst: Buffer): Buffer {
    invariant(this.#state.name === 'new', 'a SCRAM exchange is started twice')
    const { flag, nonce: clientNonce, bare } = parseClientFirst(clientFirst)
    const nonce = clientNonce + this.#nonce
    const serverFirst = `r=${nonce},s=${encodeBase64(this.#salt)},i=${this.#iterations}`
    const verifier = this.#verifier()
    // A client that leaves now leaves nobody to hear of a failure; one that stays hears of it in `finish`.
    verifier.catch(() => {})
    const channelBinding = channelBindingFor(flag)
    this.#state = { name: 'started', channelBinding, nonce, clientFirstBare: bare, serverFirst, verifier }
    return Buffer.from(serverFirst, 'latin1')
  }

  /** Takes the final message. Rejects with `bad-sasl-message` if it is malformed; a wrong password is an answer, not an error. */
  async finish(clientFinal: Buffer): Promise<ScramOutcome> {
    const exchange = this.#state
    invariant(exchange.name === 'started', 'a SCRAM exchange is finished before its start, or twice')
    this.#state = { name: 'finished' }
    const { channelBinding, nonce, proof, withoutProof } = parseClientFinal(clientFinal)
    if (channelBinding !== exchange.channelBinding) {
      throw new PoolerError('bad-sasl-message', { reason: 'unexpected channel binding' })
    }
    if (nonce !== exchange.nonce) throw new PoolerError('bad-sasl-message', { reason: 'the nonce does not match' })

    const { storedKey, serverKey } = await exchange.verifier
    const signed = authMessage(exchange.clientFirstBare, exchange.serverFirst, withoutProof)
    const clientKey = clientKeyBehind(proof, storedKey, signed)
    const serverFinal = Buffer.from(`v=${encodeBase64(serverSignature(serverKey, signed))}`, 'latin1')
    if (!equalInConstantTime(sha256(clientKey), storedKey)) return { ok: false }
    const keys = new ScramKeys({ iterations: this.#iterations, salt: this.#salt, clientKey, serverKey })
    return { ok: true, serverFinal, keys }
  }

  /**
   * Our first message needs only the salt, so a password that we hold is worked on while the client does the same work at its end.
   * The time to that first message thus tells nothing of who exists.
   */
  async #verifier(): Promise<Verifier> {
    if (this.#secret.kind === 'scram') return this.#secret
    return deriveScramKeys(this.#secret.password, this.#salt, this.#iterations, this.#derivation)
  }
}

/** An md5 secret cannot verify a proof, and an empty password lets nobody in. */
function isUsable(secret: Secret): secret is PlainSecret | ScramSecret {
  return secret.kind === 'scram' || (secret.kind === 'plain' && !secret.isEmpty)
}
