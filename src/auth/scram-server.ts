/** The server's side of SCRAM-SHA-256: we verify a client. One object for one login. */

import { timingSafeEqual } from 'node:crypto'
import { invariant } from '../base/invariant.ts'
import { PoolerError } from '../problems.ts'
import { encodeBase64 } from './base64.ts'
import { sha256 } from './hmac.ts'
import { type KeyDerivation, keyDerivation } from './key-derivation.ts'
import { clientKeyBehind, ScramKeys, serverSignature, verifierFrom } from './scram-keys.ts'
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
import { adHocSalt, mockSecret, type PlainSecret, type ScramSecret, type Secret } from './secrets.ts'

export interface ScramServerOptions {
  /** The setting `scram_iterations`, for users whose password we hold and for users that do not exist. */
  readonly iterations: number
  readonly saltKey: Buffer
  /** The hash that this connection can be bound to, which is offered then; null, or not given, where there is none. */
  readonly binding?: Buffer | null
  /** Users whose password we hold log in in this way too: a refusal takes as much work whoever it is about. */
  readonly hidesWork?: boolean
  readonly derivation?: KeyDerivation
  /** Only for tests: our half of the nonce. */
  readonly nonce?: string
}

export type ScramOutcome = { ok: true; serverFinal: Buffer; keys: ScramKeys } | { ok: false }

/** What a proof is checked against. */
type Verifier = Pick<ScramSecret, 'storedKey' | 'serverKey'>

interface Exchange {
  readonly name: 'started'
  readonly flag: BindingFlag
  readonly nonce: string
  readonly clientFirstBare: string
  readonly serverFirst: string
}

/** What the client says last. */
interface Claim {
  readonly proof: Buffer
  /** Both sides' messages. */
  readonly signed: string
}

type State = { name: 'new' } | Exchange | { name: 'finished' }

export class ScramServer {
  readonly #secret: PlainSecret | ScramSecret
  readonly #salt: Buffer
  readonly #iterations: number
  /** `scram_iterations` where refusals take work that is not needed; null where none do. */
  readonly #idleIterations: number | null
  readonly #derivation: KeyDerivation
  readonly #nonce: string
  readonly #binding: Buffer | null
  #state: State = { name: 'new' }

  /** For a user that does not exist, give `mockSecret`: from here on nothing differs but that no proof fits. */
  constructor(userName: string, secret: Secret, options: ScramServerOptions) {
    const { iterations, saltKey, hidesWork = false } = options
    this.#idleIterations = hidesWork ? iterations : null
    this.#secret = isUsable(secret) ? secret : mockSecret(userName, saltKey, iterations)
    this.#salt = this.#secret.kind === 'scram' ? this.#secret.salt : adHocSalt(userName, this.#secret.password, saltKey)
    this.#iterations = this.#secret.kind === 'scram' ? this.#secret.iterations : iterations
    this.#derivation = options.derivation ?? keyDerivation
    this.#nonce = options.nonce ?? createNonce()
    this.#binding = options.binding ?? null
  }

  /** What the client is offered. */
  get mechanisms(): readonly string[] {
    return this.#binding === null ? [SCRAM_MECHANISM] : [SCRAM_PLUS_MECHANISM, SCRAM_MECHANISM]
  }

  /**
   * Takes the first message, returns ours. Throws `bad-sasl-message`, or `channel-binding-shortened`.
   *
   * @param mechanism the one of `mechanisms` that the client has chosen
   */
  start(clientFirst: Buffer, mechanism: string = SCRAM_MECHANISM): Buffer {
    invariant(this.#state.name === 'new', 'a SCRAM exchange is started twice')
    const { flag, nonce: clientNonce, bare } = parseClientFirst(clientFirst)
    this.#checkFlag(flag, mechanism)
    const nonce = clientNonce + this.#nonce
    const serverFirst = `r=${nonce},s=${encodeBase64(this.#salt)},i=${this.#iterations}`
    this.#state = { name: 'started', flag, nonce, clientFirstBare: bare, serverFirst }
    return Buffer.from(serverFirst, 'latin1')
  }

  #checkFlag(flag: BindingFlag, mechanism: string): void {
    const refuse = (reason: string) => new PoolerError('bad-sasl-message', { reason })
    // https://www.rfc-editor.org/rfc/rfc5802#section-6: who says so did not see our offer, since somebody has taken it away.
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

  /** Takes the final message. Rejects with `bad-sasl-message` if it is malformed; a wrong password is an answer, not an error. */
  async finish(clientFinal: Buffer): Promise<ScramOutcome> {
    const exchange = this.#state
    invariant(exchange.name === 'started', 'a SCRAM exchange is finished before its start, or twice')
    this.#state = { name: 'finished' }
    const { channelBinding, nonce, proof, withoutProof } = parseClientFinal(clientFinal)
    if (channelBinding !== channelBindingFor(exchange.flag, this.#binding)) {
      // It sees another certificate than ours: somebody is in between.
      if (exchange.flag === 'p') throw new PoolerError('channel-binding-failed')
      throw new PoolerError('bad-sasl-message', { reason: 'unexpected channel binding' })
    }
    if (nonce !== exchange.nonce) throw new PoolerError('bad-sasl-message', { reason: 'the nonce does not match' })

    return this.#judge({ proof, signed: authMessage(exchange.clientFirstBare, exchange.serverFirst, withoutProof) })
  }

  /**
   * How long a refusal takes must not tell whether there is such a user, nor whether it has logged in before. Where any user's login
   * may need keys to be derived, each refusal thus costs just that, begun at the same moment; only the right password is let in at once.
   */
  async #judge(claim: Claim): Promise<ScramOutcome> {
    const known = this.#knownVerifier()
    if (known === null) return this.#check(claim, await this.#deriveVerifier(this.#secret as PlainSecret))
    const outcome = this.#check(claim, known)
    if (!outcome.ok && this.#idleIterations !== null) await this.#derivation.idleWork(this.#idleIterations)
    return outcome
  }

  #check({ proof, signed }: Claim, { storedKey, serverKey }: Verifier): ScramOutcome {
    const clientKey = clientKeyBehind(proof, storedKey, signed)
    const serverFinal = Buffer.from(`v=${encodeBase64(serverSignature(serverKey, signed))}`, 'latin1')
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

/** An md5 secret cannot verify a proof, and an empty password lets nobody in. */
function isUsable(secret: Secret): secret is PlainSecret | ScramSecret {
  return secret.kind === 'scram' || (secret.kind === 'plain' && !secret.isEmpty)
}
