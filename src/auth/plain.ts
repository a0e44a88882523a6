/** Checks a password that a client sent in the clear, against whatever kind of secret is known of it. */

import { equalInConstantTime } from './constant-time.ts'
import { type KeyDerivation, keyDerivation } from './key-derivation.ts'
import { md5Hash } from './md5.ts'
import { storedKeyFrom } from './scram-keys.ts'
import type { Secret } from './secrets.ts'

/** For a user that does not exist, give `mockSecret`. `password` may be the bytes that came, which need not be UTF-8. */
export async function verifyPlain(
  secret: Secret,
  userName: string,
  password: string | Buffer,
  derivation: KeyDerivation = keyDerivation,
): Promise<boolean> {
  switch (secret.kind) {
    case 'plain':
      return equalInConstantTime(secret.password, password) && !secret.isEmpty
    case 'md5':
      return equalInConstantTime(secret.hash, md5Hash(password, userName))
    case 'scram': {
      const isRight = (salted: Buffer) => equalInConstantTime(storedKeyFrom(salted), secret.storedKey)
      return isRight(await derivation.saltedPassword(password, secret.salt, secret.iterations, isRight))
    }
  }
}
