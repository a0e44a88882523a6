/**
 * SHA-256 and HMAC-SHA-256 of short messages. `createHash` and `createHmac` create an object with a native handle for each call, which takes
 * longer than the hashing and burdens the garbage collector; a login needs several calls.
 * https://www.rfc-editor.org/rfc/rfc2104
 */

import { hash } from 'node:crypto'
import { invariant } from '../base/invariant.ts'

const BLOCK_BYTES = 64
const INNER_PAD = 0x36
const OUTER_PAD = 0x5c

export function sha256(bytes: Buffer): Buffer {
  return hash('sha256', bytes, 'buffer')
}

/** The key must not be longer than a block; SCRAM's keys never are. The message is Latin-1, one byte for each character. */
export function hmacSha256(key: Buffer, message: string): Buffer {
  invariant(key.length <= BLOCK_BYTES, 'a key for HMAC is longer than a block')
  const inner = Buffer.alloc(BLOCK_BYTES + message.length, INNER_PAD)
  const outer = Buffer.alloc(BLOCK_BYTES + 32, OUTER_PAD)
  for (let index = 0; index < key.length; index++) {
    const byte = key[index] as number
    inner[index] = byte ^ INNER_PAD
    outer[index] = byte ^ OUTER_PAD
  }
  inner.write(message, BLOCK_BYTES, 'latin1')
  sha256(inner).copy(outer, BLOCK_BYTES)
  return sha256(outer)
}
