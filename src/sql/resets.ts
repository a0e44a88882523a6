/** SQL that gives a session back what it began with: https://www.postgresql.org/docs/current/sql-reset.html */

import { firstWord } from './scanning.ts'

/** A text that begins with it may do so. That more is found than there is does no harm, as long as it is rare. */
const RESETS = /^\s*(?:reset|discard\s+all|set\s+(?!local\s)(?:[^;]*[\s=])?(?:default|local|none))\b/i

/** Behind comments, longer beginnings are not looked at. */
const MAX_BYTES = 256

/** Longer comments are not waited for. */
const MAX_COMMENT_BYTES = 8 * 1024

/**
 * How many bytes of the text from `start` on have to be there to tell that, as far as the bytes up to `end` say: nearly always no more
 * than these, since all but a comment and SET is told by its first words.
 */
export function resetsToldBy(buffer: Buffer, start: number, end: number): number {
  const at = firstWord(buffer, start, end)
  if (at + 4 > end) return MAX_COMMENT_BYTES
  const isSet = buffer.toString('latin1', at, at + 3).toLowerCase() === 'set'
  return isSet ? at + MAX_BYTES - start : end - start
}

/**
 * Whether the text from `start` on, of which bytes up to `end` are there, begins with RESET, DISCARD ALL or SET … TO DEFAULT. In the
 * usual case a look at two letters.
 */
export function resetsSettings(buffer: Buffer, start: number, end: number): boolean {
  const at = firstWord(buffer, start, end)
  const second = (buffer[at + 1] as number) | 0x20
  switch ((buffer[at] as number) | 0x20) {
    case 0x72: // r, e
    case 0x73: // s, e; not SHOW
      if (second !== 0x65) return false
      break
    case 0x64: // d, i
      if (second !== 0x69) return false
      break
    default:
      return false
  }
  // SELECT, RELEASE and the like
  const third = (buffer[at + 2] as number) | 0x20
  return (third === 0x73 || third === 0x74) && RESETS.test(buffer.toString('latin1', at, Math.min(end, at + MAX_BYTES)))
}
