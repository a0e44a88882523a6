/**
 * The values of settings as a server reports them: in client_encoding, which need not be UTF-8. A value that we cannot decode is kept as its
 * bytes, inside a string, so that it can be compared, reported to clients and set again.
 */

import { isUtf8 } from 'node:buffer'

/** Marks a string of bytes: mark, encoding, mark, then one character for each byte. No real value contains a zero byte. */
const MARK = '\0'

/** The beginning of a string of bytes whose encoding is not known yet. */
const RAW = `${MARK}${MARK}`

/** Reads bytes `start` to `end` without decoding them yet: see `understand`. */
export function readReported(buffer: Buffer, start: number, end: number): string {
  for (let at = start; at < end; at++)
    if ((buffer[at] as number) >= 0x80) return RAW + buffer.toString('latin1', start, end)
  return buffer.toString('latin1', start, end)
}

/** Decodes a value from `readReported` that arrived while client_encoding was `encoding` (Postgres' name for it). */
export function understand(value: string, encoding: string): string {
  if (!value.startsWith(RAW)) return value
  const letters = value.slice(RAW.length)
  if (encoding === 'LATIN1') return letters
  const bytes = Buffer.from(letters, 'latin1')
  return encoding === 'UTF8' && isUtf8(bytes) ? bytes.toString() : `${MARK}${encoding}${MARK}${letters}`
}

/** Whether the value is kept as bytes, because we could not decode it. */
export function isForeign(value: string): boolean {
  return value.startsWith(MARK)
}

/** Returns the bytes of such a value, and their encoding. */
export function foreignBytes(value: string): { encoding: string; bytes: Buffer } {
  const end = value.indexOf(MARK, MARK.length)
  return { encoding: value.slice(MARK.length, end), bytes: Buffer.from(value.slice(end + MARK.length), 'latin1') }
}

/** Encodes the value for a client with that client_encoding; null if we cannot. */
export function bytesFor(value: string, encoding: string): Buffer | null {
  if (isForeign(value)) {
    const foreign = foreignBytes(value)
    return foreign.encoding === encoding ? foreign.bytes : null
  }
  if (encoding === 'UTF8' || /^[\x00-\x7f]*$/.test(value)) return Buffer.from(value)
  return encoding === 'LATIN1' && /^[\x00-\xff]*$/.test(value) ? Buffer.from(value, 'latin1') : null
}
