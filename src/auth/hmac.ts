/**
 * SHA-256 and HMAC-SHA-256 of short messages. `createHash` and `createHmac` create an object with a native handle for each call, and a digest that
 * comes as a Buffer has memory of its own, which the garbage collector has to watch. Both take several times as long as the hashing, and a login
 * needs several calls.
 * https://www.rfc-editor.org/rfc/rfc2104
 */

import { hash } from 'node:crypto'
import { invariant } from '../base/invariant.ts'

const BLOCK_BYTES = 64
const DIGEST_BYTES = 32
const INNER_PAD = 0x36
const OUTER_PAD = 0x5c

/** Longer than what a login usually signs, which has some two hundred bytes. */
const SHORT_MESSAGE_BYTES = 1024

/** Filled anew in each call. */
const shortInner = Buffer.alloc(BLOCK_BYTES + SHORT_MESSAGE_BYTES)
const outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES)

export function sha256(bytes: Buffer): Buffer {
  return Buffer.from(digestOf(bytes), 'latin1')
}

/** The key must not be longer than a block; SCRAM's keys never are. The message is Latin-1, one byte for each character. */
export function hmacSha256(key: Buffer, message: string): Buffer {
  invariant(key.length <= BLOCK_BYTES, 'a key for HMAC is longer than a block')
  const end = BLOCK_BYTES + message.length
  const inner = end <= shortInner.length ? shortInner : Buffer.alloc(end)
  inner.fill(INNER_PAD, 0, BLOCK_BYTES)
  outer.fill(OUTER_PAD, 0, BLOCK_BYTES)
  for (let index = 0; index < key.length; index++) {
    const byte = key[index] as number
    inner[index] = byte ^ INNER_PAD
    outer[index] = byte ^ OUTER_PAD
  }
  inner.write(message, BLOCK_BYTES, 'latin1')
  outer.write(digestOf(inner.subarray(0, end)), BLOCK_BYTES, 'latin1')
  return sha256(outer)
}

/** One character for each byte. */
function digestOf(bytes: Buffer): string {
  return hash('sha256', bytes, 'binary')
}
