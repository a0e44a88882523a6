/** The server's side of SCRAM-SHA-256, with which we verify a client. One object for each login. */

import { timingSafeEqual } from 'node:crypto'
import { invariant } from '../base/invariant.ts'
import { PoolerError } from '../problems.ts'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { sha256 } from './hmac.ts'
import { type KeyDerivation, keyDerivation } from './key-derivation.ts'
import { clientKeyBehind, clientSignature, ScramKeys, serverSignature, verifierFrom } from './scram-keys.ts'
import {
  authMessage,
  type BindingFlag,
  channelBindingFor,
  createNonce,
  parseClientFinal,
  parseClientFirst,
  SCRAM_MECHANISM,
  SCRAM_PLUS_MECHANISM,
} from './scram-messages.ts'
import { mockSecret, type PlainSecret, SCRAM_KEY_BYTES, type ScramSecret, type Secret, saltFor } from './secrets.ts'

export interface ScramServerOptions {
  /** The setting `scram_iterations`, for users whose plain password we hold. */
  readonly iterations: number
  /** For users that do not exist; without it, as many as for those whose plain password we hold. */
  readonly mockIterations?: number
  readonly saltKey: Buffer
  /** The hash to bind to this connection; channel binding is offered only if there is one. */
  readonly binding?: Buffer | null
  /** Set if users whose plain password we hold log in by SCRAM, too. Each refusal then takes the work that theirs take, whoever the user is. */
  readonly hidesWork?: boolean
  readonly derivation?: KeyDerivation
  /** Only for tests: our half of the nonce. */
  readonly nonce?: string
}

export type ScramOutcome = { ok: true; serverFinal: Buffer; keys: ScramKeys } | { ok: false }

/** The keys to check a proof with. */
type Verifier = Pick<ScramSecret, 'storedKey' | 'serverKey'>

/** What only somebody who knows the keys can compute from the messages of both sides. */
interface Signatures {
  readonly storedKey: Buffer
  readonly serverKey: Buffer
  readonly ofClient: Buffer
  readonly serverFinal: Buffer
}

/** The client's final message, as nearly every client writes it. */
interface Foreseen {
  /** All but the proof itself. */
  readonly beginning: string
  readonly signatures: Signatures
}

interface Exchange {
  readonly name: 'started'
  readonly flag: BindingFlag
  readonly nonce: string
  readonly clientFirstBare: string
  readonly serverFirst: string
  foreseen: Foreseen | null
}

type State = { name: 'new' } | Exchange | { name: 'finished' }

export class ScramServer {
  readonly #secret: PlainSecret | ScramSecret
  readonly #salt: Buffer
  readonly #iterations: number
  /** `scram_iterations` if refusals have to do work only to take the same time; otherwise null. */
  readonly #idleIterations: number | null
  readonly #derivation: KeyDerivation
  readonly #nonce: string
  readonly #binding: Buffer | null
  #state: State = { name: 'new' }

  /** @param secret null for a user that does not exist: nothing differs, except that no proof is valid */
  constructor(userName: string, secret: Secret | null, options: ScramServerOptions) {
    const { iterations, mockIterations = iterations, saltKey, hidesWork = false } = options
    this.#idleIterations = hidesWork ? iterations : null
    // Derived for users who have a salt, too: the duration must not reveal whether the user exists.
    const salt = saltFor(userName, secret?.kind === 'plain' ? secret.password : '', saltKey)
    this.#secret = secret !== null && isUsable(secret) ? secret : mockSecret(salt, mockIterations)
    this.#salt = this.#secret.kind === 'scram' ? this.#secret.salt : salt
    this.#iterations = this.#secret.kind === 'scram' ? this.#secret.iterations : iterations
    this.#derivation = options.derivation ?? keyDerivation
    this.#nonce = options.nonce ?? createNonce()
    this.#binding = options.binding ?? null
  }

  /**
   * Takes the client's first message and returns ours. Throws `bad-sasl-message` or `channel-binding-shortened`.
   *
   * @param mechanism the one of `mechanismsFor` that the client has selected
   */
  start(clientFirst: Buffer, mechanism: string = SCRAM_MECHANISM): Buffer {
    invariant(this.#state.name === 'new', 'a SCRAM exchange is started twice')
    const { flag, nonce: clientNonce, bare } = parseClientFirst(clientFirst)
    this.#checkFlag(flag, mechanism)
    const nonce = clientNonce + this.#nonce
    const serverFirst = `r=${nonce},s=${encodeBase64(this.#salt)},i=${this.#iterations}`
    this.#state = { name: 'started', flag, nonce, clientFirstBare: bare, serverFirst, foreseen: null }
    return Buffer.from(serverFirst, 'latin1')
  }

  #checkFlag(flag: BindingFlag, mechanism: string): void {
    const refuse = (reason: string) => new PoolerError('bad-sasl-message', { reason })
    // `y` means that the client was not offered channel binding. We did offer it, so somebody has removed it from our offer.
    // https://www.rfc-editor.org/rfc/rfc5802#section-6
    if (flag === 'y' && this.#binding !== null) throw new PoolerError('channel-binding-shortened')
    if (mechanism === SCRAM_PLUS_MECHANISM && flag !== 'p')
      throw refuse(`the client has selected ${mechanism} and does not bind the channel`)
    if (mechanism !== SCRAM_PLUS_MECHANISM && flag === 'p')
      throw refuse(
        this.#binding === null
          ? 'the client requires channel binding, which is not offered'
          : `the client binds the channel and has selected ${mechanism}`,
      )
  }

  /** Computes what can be known of the client's final message, while the client is still working on it. Without this, `finish` takes longer. */
  foresee(): void {
    const exchange = this.#state
    invariant(exchange.name === 'started', 'the end of a SCRAM exchange is foreseen before its start, or after its end')
    const verifier = this.#knownVerifier()
    if (verifier === null) return
    const { flag, nonce, clientFirstBare, serverFirst } = exchange
    const withoutProof = `c=${channelBindingFor(flag, this.#binding)},r=${nonce}`
    const signatures = signaturesBy(verifier, authMessage(clientFirstBare, serverFirst, withoutProof))
    exchange.foreseen = { beginning: `${withoutProof},p=`, signatures }
  }

  /**
   * Takes the client's final message. Rejects with `bad-sasl-message` if it is malformed and `channel-binding-failed` if the client sees another
   * certificate; a wrong password is a result, not an error.
   */
  async finish(clientFinal: Buffer): Promise<ScramOutcome> {
    const exchange = this.#state
    invariant(exchange.name === 'started', 'a SCRAM exchange is finished before its start, or twice')
    this.#state = { name: 'finished' }
    const { foreseen } = exchange
    const expectedProof = foreseen && proofBehind(foreseen.beginning, clientFinal)
    if (foreseen && expectedProof) return this.#judge(expectedProof, foreseen.signatures)

    const { channelBinding, nonce, proof, withoutProof } = parseClientFinal(clientFinal)
    if (channelBinding !== channelBindingFor(exchange.flag, this.#binding)) {
      // The client sees another certificate than ours, so there is somebody in between.
      if (exchange.flag === 'p') throw new PoolerError('channel-binding-failed')
      throw new PoolerError('bad-sasl-message', { reason: 'unexpected channel binding' })
    }
    if (nonce !== exchange.nonce) throw new PoolerError('bad-sasl-message', { reason: 'the nonce does not match' })

    const signed = authMessage(exchange.clientFirstBare, exchange.serverFirst, withoutProof)
    const known = this.#knownVerifier()
    if (known !== null) return this.#judge(proof, signaturesBy(known, signed))
    return this.#check(proof, signaturesBy(await this.#deriveVerifier(this.#secret as PlainSecret), signed))
  }

  /**
   * The duration of a refusal must not reveal whether the user exists or has logged in before. So if the login of any user may need a key
   * derivation, each refusal takes one, begun at the same point. Only a right password whose keys are known is accepted without one.
   */
  async #judge(proof: Buffer, signatures: Signatures): Promise<ScramOutcome> {
    const outcome = this.#check(proof, signatures)
    if (!outcome.ok && this.#idleIterations !== null) await this.#derivation.idleWork(this.#idleIterations)
    return outcome
  }

  #check(proof: Buffer, { storedKey, serverKey, ofClient, serverFinal }: Signatures): ScramOutcome {
    const clientKey = clientKeyBehind(proof, ofClient)
    if (!timingSafeEqual(sha256(clientKey), storedKey)) return { ok: false }
    const keys = new ScramKeys({ iterations: this.#iterations, salt: this.#salt, clientKey, serverKey })
    return { ok: true, serverFinal, keys }
  }

  #knownVerifier(): Verifier | null {
    if (this.#secret.kind === 'scram') return this.#secret
    const salted = this.#derivation.cachedSaltedPassword(this.#secret.password, this.#salt, this.#iterations)
    return salted && verifierFrom(salted)
  }

  async #deriveVerifier({ password }: PlainSecret): Promise<Verifier> {
    return verifierFrom(await this.#derivation.ownSaltedPassword(password, this.#salt, this.#iterations))
  }
}

/** Returns the mechanisms to offer to a client. */
export function mechanismsFor(binding: Buffer | null): readonly string[] {
  return binding === null ? [SCRAM_MECHANISM] : [SCRAM_PLUS_MECHANISM, SCRAM_MECHANISM]
}

/** Whether the secret can verify a proof: an md5 secret cannot, and an empty password lets nobody in. */
function isUsable(secret: Secret): secret is PlainSecret | ScramSecret {
  return secret.kind === 'scram' || (secret.kind === 'plain' && !secret.isEmpty)
}

function signaturesBy({ storedKey, serverKey }: Verifier, signed: string): Signatures {
  const serverFinal = Buffer.from(`v=${encodeBase64(serverSignature(serverKey, signed))}`, 'latin1')
  return { storedKey, serverKey, ofClient: clientSignature(storedKey, signed), serverFinal }
}

/** Returns the proof if the message is `beginning` and a well-formed proof; otherwise null. */
function proofBehind(beginning: string, message: Buffer): Buffer | null {
  const text = message.toString('latin1')
  const proof = text.startsWith(beginning) ? decodeBase64(text.slice(beginning.length)) : null
  return proof?.length === SCRAM_KEY_BYTES ? proof : null
}
