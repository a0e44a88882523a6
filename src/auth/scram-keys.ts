/** The keys of SCRAM and what is computed from them, for both sides of an exchange. https://www.rfc-editor.org/rfc/rfc5802#section-3 */

import { randomBytes } from 'node:crypto'
import { Concealed } from './concealed.ts'
import { hmacSha256, sha256 } from './hmac.ts'
import { type KeyDerivation, keyDerivation } from './key-derivation.ts'
import { SCRAM_SALT_BYTES, ScramSecret, secretText } from './secrets.ts'

/**
 * The keys that prove a password without containing it: derived from a password, or recovered from the proof of a client. They work only with
 * servers that keep the same salt and iteration count.
 */
export class ScramKeys extends Concealed {
  readonly iterations: number
  readonly #salt: Buffer
  readonly #clientKey: Buffer
  readonly #serverKey: Buffer

  constructor(parts: { iterations: number; salt: Buffer; clientKey: Buffer; serverKey: Buffer }) {
    super()
    this.iterations = parts.iterations
    this.#salt = parts.salt
    this.#clientKey = parts.clientKey
    this.#serverKey = parts.serverKey
  }

  get salt(): Buffer {
    return this.#salt
  }

  get clientKey(): Buffer {
    return this.#clientKey
  }

  get serverKey(): Buffer {
    return this.#serverKey
  }

  get storedKey(): Buffer {
    return sha256(this.#clientKey)
  }

  fits(salt: Buffer, iterations: number): boolean {
    return iterations === this.iterations && salt.equals(this.#salt)
  }
}

export async function deriveScramKeys(
  password: string | Buffer,
  salt: Buffer,
  iterations: number,
  derivation: KeyDerivation = keyDerivation,
): Promise<ScramKeys> {
  const saltedPassword = await derivation.saltedPassword(password, salt, iterations)
  const clientKey = sign(saltedPassword, 'Client Key')
  return new ScramKeys({ iterations, salt, clientKey, serverKey: serverKeyFrom(saltedPassword) })
}

/** Returns the keys to check a proof of the password with. */
export function verifierFrom(saltedPassword: Buffer): { storedKey: Buffer; serverKey: Buffer } {
  return { storedKey: storedKeyFrom(saltedPassword), serverKey: serverKeyFrom(saltedPassword) }
}

/** Returns the text of the secret that Postgres would store for `password`. */
export async function generateScramSecret(
  password: string,
  iterations: number,
  salt: Buffer = randomBytes(SCRAM_SALT_BYTES),
): Promise<string> {
  const { storedKey, serverKey } = await deriveScramKeys(password, salt, iterations)
  return secretText(new ScramSecret({ iterations, salt, storedKey, serverKey }))
}

export function storedKeyFrom(saltedPassword: Buffer): Buffer {
  return sha256(sign(saltedPassword, 'Client Key'))
}

export function clientProof(clientKey: Buffer, authMessage: string): Buffer {
  return xor(clientKey, clientSignature(sha256(clientKey), authMessage))
}

/** Recovers the client key from a proof. The proof is valid if the hash of this key equals the stored key. */
export function clientKeyBehind(proof: Buffer, signature: Buffer): Buffer {
  return xor(proof, signature)
}

export function serverSignature(serverKey: Buffer, authMessage: string): Buffer {
  return sign(serverKey, authMessage)
}

export function clientSignature(storedKey: Buffer, authMessage: string): Buffer {
  return sign(storedKey, authMessage)
}

function serverKeyFrom(saltedPassword: Buffer): Buffer {
  return sign(saltedPassword, 'Server Key')
}

/** Messages are Latin-1 strings, one character for each byte, so that exactly what was sent is signed, whatever its encoding. */
function sign(key: Buffer, message: string): Buffer {
  return hmacSha256(key, message)
}

function xor(one: Buffer, other: Buffer): Buffer {
  const result = Buffer.allocUnsafe(one.length)
  for (let i = 0; i < one.length; i++) result[i] = (one[i] ?? 0) ^ (other[i] ?? 0)
  return result
}
