/** Compares what a peer has sent with a secret, in a time that does not depend on where they differ. */

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

const key = randomBytes(32)

export function equalInConstantTime(one: Buffer | string, other: Buffer | string): boolean {
  // Hashing makes the lengths equal, so that the time does not reveal the length either.
  return timingSafeEqual(hash(one), hash(other))
}

function hash(value: Buffer | string): Buffer {
  return createHmac('sha256', key).update(value).digest()
}
