/** What is known of a user's password: the password itself, or a hash or keys made from it. */

import { randomBytes } from 'node:crypto'
import { PoolerError } from '../problems.ts'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { Concealed } from './concealed.ts'
import { hmacSha256 } from './hmac.ts'

/** The same limit as in PgBouncer. Postgres would accept more, but no real password is that long. */
export const MAX_PASSWORD_BYTES = 65_530

/** Some seconds of work. A peer or file that asks for more is considered broken or hostile. */
export const MAX_SCRAM_ITERATIONS = 10_000_000

/** Postgres itself makes salts of 16 bytes. */
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

  /** As in PgBouncer, an empty password lets nobody in, whatever a client answers. */
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
 * Parses a secret from a user file or `pg_authid.rolpassword`. Like Postgres and PgBouncer, it takes any text that is not exactly an md5 hash or
 * a SCRAM secret for a password; `looksLikeBrokenSecret` recognizes texts that were probably meant as one of those. Throws `password-too-long`.
 */
export function parseSecret(text: string): Secret {
  const length = Buffer.byteLength(text)
  if (length > MAX_PASSWORD_BYTES) throw new PoolerError('password-too-long', { length, limit: MAX_PASSWORD_BYTES })
  if (/^md5[0-9a-f]{32}$/.test(text)) return new Md5Secret(text.slice(3))
  return parseScramSecret(text) ?? new PlainSecret(text)
}

/** Returns the text that `parseSecret` reads, for files and our other processes. Never show it to people. */
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

/** Whether a user's secret is unchanged after a reload. */
export function isSameSecret(one: Secret, other: Secret): boolean {
  return one.kind === other.kind && secretText(one) === secretText(other)
}

/** Whether a password was probably meant to be a hash: with too few digits, in capitals, or truncated by a terminal. */
export function looksLikeBrokenSecret(secret: Secret): boolean {
  return secret.kind === 'plain' && /^(SCRAM-SHA-256\$|md5[0-9a-f]{28,36}$)/i.test(secret.password)
}

/** Makes the `saltKey` below. All processes behind a port need the same one: a salt that differs between them would reveal unknown users. */
export function createSaltKey(): Buffer {
  return randomBytes(32)
}

/**
 * Makes a secret for a user that does not exist: no password matches it. It goes through all checks like a real SCRAM secret, so that the work and
 * the messages are the same.
 *
 * @param salt the one that `saltFor` returns for the user's name and no password, always the same
 */
export function mockSecret(salt: Buffer, iterations: number): ScramSecret {
  return new ScramSecret({ iterations, salt, storedKey: NOBODYS_KEY, serverKey: NOBODYS_KEY })
}

const NOBODYS_KEY = randomBytes(SCRAM_KEY_BYTES)

/** What the authentication request reveals about a secret to a client. */
export interface SecretShape {
  readonly kind: Secret['kind']
  /** The iteration count of a SCRAM secret; null for others, for which the setting `scram_iterations` applies. */
  readonly iterations: number | null
}

export function shapeOf(secret: Secret): SecretShape {
  return { kind: secret.kind, iterations: secret.kind === 'scram' ? secret.iterations : null }
}

/**
 * Returns the shape that a client sees for a user that does not exist. `shapes` has one entry for each existing user. Each shape is as frequent
 * among non-existent users as in `shapes`, so that a rare one reveals nothing, and the same name always gets the same shape.
 */
export function mockShape(userName: string, saltKey: Buffer, shapes: readonly SecretShape[]): SecretShape {
  // All users' secrets look alike: equal shapes are one object.
  if (shapes[0] === shapes[shapes.length - 1]) return shapes[0] ?? NO_SHAPE
  const place = keyed(saltKey, 'mock shape', userName).readUInt32BE(0) / 2 ** 32
  return shapes[Math.floor(place * shapes.length)] ?? NO_SHAPE
}

const NO_SHAPE: SecretShape = { kind: 'plain', iterations: null }

/**
 * Returns the salt for a user whose password we hold or, without a password, for one that does not exist. It is derived from the key, not random, so
 * it is the same in all processes without storage.
 */
export function saltFor(userName: string, password: string, saltKey: Buffer): Buffer {
  return keyed(saltKey, 'salt', userName, password).subarray(0, SCRAM_SALT_BYTES)
}

function keyed(key: Buffer, ...parts: string[]): Buffer {
  return hmacSha256(key, Buffer.from(parts.join('\0')).toString('latin1'))
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
