/**
 * The values of settings as a server reports them: in the encoding that its client has asked for, which need not be UTF-8. A value
 * whose letters cannot be told is kept as its bytes, within a string, so that it can be compared, told again and set again.
 */

import { isUtf8 } from 'node:buffer'

/** No real value has a zero byte, so that this marks a string of bytes: encoding, zero, a letter for each byte. */
const MARK = '\0'

/** Bytes whose encoding is not known yet. */
const RAW = `${MARK}${MARK}`

/** What stands in bytes `start` to `end`, whatever the encoding: see `understand`. */
export function readReported(buffer: Buffer, start: number, end: number): string {
  for (let at = start; at < end; at++)
    if ((buffer[at] as number) >= 0x80) return RAW + buffer.toString('latin1', start, end)
  return buffer.toString('latin1', start, end)
}

/** The value of which the bytes came while `encoding` (Postgres' name for it) was the client's. */
export function understand(value: string, encoding: string): string {
  if (!value.startsWith(RAW)) return value
  const letters = value.slice(RAW.length)
  if (encoding === 'LATIN1') return letters
  const bytes = Buffer.from(letters, 'latin1')
  return encoding === 'UTF8' && isUtf8(bytes) ? bytes.toString() : `${MARK}${encoding}${MARK}${letters}`
}

/** It came in bytes whose letters cannot be told. */
export function isForeign(value: string): boolean {
  return value.startsWith(MARK)
}

/** The encoding that the bytes are in, and the bytes. */
export function foreignBytes(value: string): { encoding: string; bytes: Buffer } {
  const end = value.indexOf(MARK, MARK.length)
  return { encoding: value.slice(MARK.length, end), bytes: Buffer.from(value.slice(end + MARK.length), 'latin1') }
}

/** The value in bytes for a client whose encoding that is; null if we cannot write it so. */
export function bytesFor(value: string, encoding: string): Buffer | null {
  if (isForeign(value)) {
    const foreign = foreignBytes(value)
    return foreign.encoding === encoding ? foreign.bytes : null
  }
  if (encoding === 'UTF8' || /^[\x00-\x7f]*$/.test(value)) return Buffer.from(value)
  return encoding === 'LATIN1' && /^[\x00-\xff]*$/.test(value) ? Buffer.from(value, 'latin1') : null
}
