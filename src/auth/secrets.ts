/** What is known of a user's password: the password itself, or something made from it. */

import { createHmac, randomBytes } from 'node:crypto'
import { PoolerError } from '../problems.ts'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { Concealed } from './concealed.ts'

/** As in PgBouncer: Postgres itself would take more, but nobody means it. */
export const MAX_PASSWORD_BYTES = 65_530

/** Some seconds of work. Beyond it a peer or a file is taken to be mistaken, or hostile. */
export const MAX_SCRAM_ITERATIONS = 10_000_000

/** Postgres makes salts of 16 bytes. */
export const MAX_SCRAM_SALT_BYTES = 256

export const SCRAM_SALT_BYTES = 16
export const SCRAM_KEY_BYTES = 32

export type Secret = PlainSecret | Md5Secret | ScramSecret

export class PlainSecret extends Concealed {
  readonly kind = 'plain'
  readonly #password: string

  constructor(password: string) {
    super()
    this.#password = password
  }

  get password(): string {
    return this.#password
  }

  /** PgBouncer's rule: an empty password lets nobody in, whatever they answer. */
  get isEmpty(): boolean {
    return this.#password === ''
  }
}

export class Md5Secret extends Concealed {
  readonly kind = 'md5'
  readonly #hash: string

  /** `hash` is md5(password + user name) in 32 lower-case hex digits. */
  constructor(hash: string) {
    super()
    this.#hash = hash
  }

  get hash(): string {
    return this.#hash
  }
}

export class ScramSecret extends Concealed {
  readonly kind = 'scram'
  readonly iterations: number
  readonly #salt: Buffer
  readonly #storedKey: Buffer
  readonly #serverKey: Buffer

  constructor(parts: { iterations: number; salt: Buffer; storedKey: Buffer; serverKey: Buffer }) {
    super()
    this.iterations = parts.iterations
    this.#salt = parts.salt
    this.#storedKey = parts.storedKey
    this.#serverKey = parts.serverKey
  }

  get salt(): Buffer {
    return this.#salt
  }

  get storedKey(): Buffer {
    return this.#storedKey
  }

  get serverKey(): Buffer {
    return this.#serverKey
  }
}

/**
 * Reads a secret as it stands in a user file or in `pg_authid.rolpassword`. Like Postgres and PgBouncer it takes whatever is neither
 * exactly an md5 hash nor exactly a SCRAM secret for a password; `looksLikeBrokenSecret` tells when that was hardly meant.
 */
export function parseSecret(text: string): Secret {
  const length = Buffer.byteLength(text)
  if (length > MAX_PASSWORD_BYTES) throw new PoolerError('password-too-long', { length, limit: MAX_PASSWORD_BYTES })
  if (/^md5[0-9a-f]{32}$/.test(text)) return new Md5Secret(text.slice(3))
  return parseScramSecret(text) ?? new PlainSecret(text)
}

/** The text that `parseSecret` reads. For files and for other processes of ours: never for people. */
export function secretText(secret: Secret): string {
  switch (secret.kind) {
    case 'plain':
      return secret.password
    case 'md5':
      return `md5${secret.hash}`
    case 'scram': {
      const [salt, storedKey, serverKey] = [secret.salt, secret.storedKey, secret.serverKey].map(encodeBase64)
      return `SCRAM-SHA-256$${secret.iterations}:${salt}$${storedKey}:${serverKey}`
    }
  }
}

/** Whether a reload brought nothing new for a user. */
export function isSameSecret(one: Secret, other: Secret): boolean {
  return one.kind === other.kind && secretText(one) === secretText(other)
}

/** A password that somebody meant to be a hash: with a digit too few, in capitals, or cut by a terminal. */
export function looksLikeBrokenSecret(secret: Secret): boolean {
  return secret.kind === 'plain' && /^(SCRAM-SHA-256\$|md5[0-9a-f]{28,36}$)/i.test(secret.password)
}

/** The key below: one for all processes behind a port, since a salt that changes from one to the next tells who is unknown. */
export function createSaltKey(): Buffer {
  return randomBytes(32)
}

/**
 * The secret of a user that does not exist: no password fits it, and the salt stays the same when the same name is tried again.
 * It goes the way of a true SCRAM secret through all checks, so that the work and the messages are the same.
 */
export function mockSecret(userName: string, saltKey: Buffer, iterations: number): ScramSecret {
  return new ScramSecret({
    iterations,
    salt: keyed(saltKey, 'mock salt', userName).subarray(0, SCRAM_SALT_BYTES),
    storedKey: keyed(saltKey, 'mock stored key', userName),
    serverKey: keyed(saltKey, 'mock server key', userName),
  })
}

/** What a client sees of a secret by how it is asked. */
export interface SecretShape {
  readonly kind: Secret['kind']
  /** Of a SCRAM secret; null for others, which have the setting `scram_iterations`. */
  readonly iterations: number | null
}

export function shapeOf(secret: Secret): SecretShape {
  return { kind: secret.kind, iterations: secret.kind === 'scram' ? secret.iterations : null }
}

/**
 * What a client is shown of a user who does not exist. Each shape is as frequent among such users as in `shapes`, where there is one for each
 * user who does, so that to have a rare one tells nothing; and the same name always has the same.
 */
export function mockShape(userName: string, saltKey: Buffer, shapes: readonly SecretShape[]): SecretShape {
  const place = keyed(saltKey, 'mock shape', userName).readUInt32BE(0) / 2 ** 32
  return shapes[Math.floor(place * shapes.length)] ?? NO_SHAPE
}

const NO_SHAPE: SecretShape = { kind: 'plain', iterations: null }

/** The salt for a user whose password we hold. Drawn from the key rather than at random, it is the same in all processes and needs no memory. */
export function adHocSalt(userName: string, password: string, saltKey: Buffer): Buffer {
  return keyed(saltKey, 'ad hoc salt', userName, password).subarray(0, SCRAM_SALT_BYTES)
}

function keyed(key: Buffer, ...parts: string[]): Buffer {
  return createHmac('sha256', key).update(parts.join('\0')).digest()
}

function parseScramSecret(text: string): ScramSecret | null {
  const match = /^SCRAM-SHA-256\$([1-9]\d{0,9}):([^$:]+)\$([^$:]+):([^$:]+)$/.exec(text)
  if (match === null) return null
  const iterations = Number(match[1])
  const [salt, storedKey, serverKey] = [match[2], match[3], match[4]].map((part) => decodeBase64(part ?? ''))
  if (!salt || !storedKey || !serverKey) return null
  if (iterations > MAX_SCRAM_ITERATIONS || salt.length > MAX_SCRAM_SALT_BYTES) return null
  if (storedKey.length !== SCRAM_KEY_BYTES || serverKey.length !== SCRAM_KEY_BYTES) return null
  return new ScramSecret({ iterations, salt, storedKey, serverKey })
}
