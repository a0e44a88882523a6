/** Comparing what a peer sent with what is secret, in a time that tells nothing of where they differ. */

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

const key = randomBytes(32)

export function equalInConstantTime(one: Buffer | string, other: Buffer | string): boolean {
  // Hashing first makes the lengths equal, so that not even a wrong length shows.
  return timingSafeEqual(hash(one), hash(other))
}

function hash(value: Buffer | string): Buffer {
  return createHmac('sha256', key).update(value).digest()
}
