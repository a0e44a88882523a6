/** Checks a password that a client has sent in clear text, with any kind of secret. */

import { equalInConstantTime } from './constant-time.ts'
import { type KeyDerivation, keyDerivation } from './key-derivation.ts'
import { md5Hash } from './md5.ts'
import { storedKeyFrom } from './scram-keys.ts'
import type { ScramSecret, Secret } from './secrets.ts'

/**
 * Whether the password is right. For a user that does not exist, pass `mockSecret`. `password` may be the bytes as received, which need not be
 * UTF-8.
 *
 * @param idleIterations if some users have SCRAM secrets, so that a refusal of the other users takes as much work; null if none have
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

/** A right password is found in the cache the next time; a wrong one costs a derivation each time. */
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
