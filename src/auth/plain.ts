/** Checks a password that a client sent in the clear, against whatever kind of secret is known of it. */

import { equalInConstantTime } from './constant-time.ts'
import { type KeyDerivation, keyDerivation } from './key-derivation.ts'
import { md5Hash } from './md5.ts'
import { storedKeyFrom } from './scram-keys.ts'
import type { ScramSecret, Secret } from './secrets.ts'

/**
 * For a user that does not exist, give `mockSecret`. `password` may be the bytes that came, which need not be UTF-8.
 *
 * @param idleIterations where some users have SCRAM secrets: a refusal then takes as much work for the others; null where none have
 */
export async function verifyPlain(
  secret: Secret,
  userName: string,
  password: string | Buffer,
  idleIterations: number | null = null,
  derivation: KeyDerivation = keyDerivation,
): Promise<boolean> {
  if (secret.kind === 'scram') return verifyByScram(secret, password, derivation)
  const isRight =
    secret.kind === 'plain'
      ? equalInConstantTime(secret.password, password) && !secret.isEmpty
      : equalInConstantTime(secret.hash, md5Hash(password, userName))
  if (!isRight && idleIterations !== null) await derivation.idleWork(idleIterations)
  return isRight
}

/** A right password is known again; a wrong one costs a derivation of its own each time. */
async function verifyByScram(
  { salt, iterations, storedKey }: ScramSecret,
  password: string | Buffer,
  derivation: KeyDerivation,
): Promise<boolean> {
  const isRight = (salted: Buffer) => equalInConstantTime(storedKeyFrom(salted), storedKey)
  const known = derivation.cachedSaltedPassword(password, salt, iterations)
  if (known !== null && isRight(known)) return true
  return isRight(await derivation.ownSaltedPassword(password, salt, iterations, isRight))
}
