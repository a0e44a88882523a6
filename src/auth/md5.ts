/** Both sides of Postgres' md5 authentication. https://www.postgresql.org/docs/current/protocol-flow.html */

import { createHash, randomBytes } from 'node:crypto'
import { invariant } from '../base/invariant.ts'
import { equalInConstantTime } from './constant-time.ts'
import type { Md5Secret, PlainSecret, Secret } from './secrets.ts'

export const MD5_SALT_BYTES = 4

export function createMd5Salt(): Buffer {
  return randomBytes(MD5_SALT_BYTES)
}

/** Returns the hash in an md5 secret: 32 hex digits, made from the password (as it is, without SASLprep) and the user name. */
export function md5Hash(password: string | Buffer, userName: string): string {
  return md5(password, userName)
}

/** Returns our answer to a server that asks for md5. The hash is enough, so an md5 secret can log in, not only a password. */
export function md5Answer(secret: PlainSecret | Md5Secret, userName: string, salt: Buffer): string {
  return answer(secret.kind === 'md5' ? secret.hash : md5Hash(secret.password, userName), salt)
}

/**
 * Whether a client's answer to our salt is right. Without a secret, because there is no such user, and with a SCRAM secret, which cannot verify it,
 * the result is false, after the same work.
 */
export function verifyMd5(secret: Secret | null, userName: string, salt: Buffer, given: string): boolean {
  const isUsable = secret?.kind === 'md5' || (secret?.kind === 'plain' && !secret.isEmpty)
  const made = md5Hash(secret?.kind === 'plain' ? secret.password : '', userName)
  const hash = secret?.kind === 'md5' ? secret.hash : made
  return equalInConstantTime(answer(hash, salt), given) && isUsable
}

function answer(hash: string, salt: Buffer): string {
  invariant(salt.length === MD5_SALT_BYTES, `an md5 salt of ${salt.length} bytes`)
  return `md5${md5(hash, salt)}`
}

function md5(...parts: (string | Buffer)[]): string {
  const hash = createHash('md5')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}
