/** Recognizes SQL that resets settings: https://www.postgresql.org/docs/current/sql-reset.html */

import { firstWord } from './scanning.ts'

/** A text that begins with this may reset settings. False positives do no harm as long as they are rare. */
const RESETS = /^\s*(?:reset|discard\s+all|set\s+(?!local\s)(?:[^;]*[\s=])?(?:default|local|none))\b/i

/** How much of a text is examined after leading comments. */
const MAX_BYTES = 256

/** The end of a longer leading comment is not waited for. */
const MAX_COMMENT_BYTES = 8 * 1024

/**
 * Returns how many bytes of the text that begins at `start` `resetsSettings` needs, judging by the bytes up to `end`. Nearly always these are
 * enough, since the first words decide, except after a long comment or SET.
 */
export function resetsToldBy(buffer: Buffer, start: number, end: number): number {
  const at = firstWord(buffer, start, end)
  if (at + 4 > end) return MAX_COMMENT_BYTES
  const isSet = buffer.toString('latin1', at, at + 3).toLowerCase() === 'set'
  return isSet ? at + MAX_BYTES - start : end - start
}

/**
 * Whether the text that begins at `start`, of which the bytes up to `end` are available, begins with RESET, DISCARD ALL or SET … TO DEFAULT.
 * Usually two letters are enough to tell.
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
  // The third letter rules out SELECT, RELEASE and others.
  const third = (buffer[at + 2] as number) | 0x20
  return (third === 0x73 || third === 0x74) && RESETS.test(buffer.toString('latin1', at, Math.min(end, at + MAX_BYTES)))
}
