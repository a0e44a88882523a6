/** Recognizes SQL that drops prepared statements. Those that a client has prepared by the protocol have other names on servers. */

import { firstWord } from './scanning.ts'

/** Longer messages are not examined. */
const MAX_DEALLOCATE_BYTES = 256

/** White space and comments. Nested comments do not match; they are left to Postgres. */
const SPACE = String.raw`(?:\s|--[^\r\n]*(?:[\r\n]|$)|/\*(?:(?!/\*|\*/)[^])*\*/)`

const DEALLOCATE = new RegExp(
  `^${SPACE}*deallocate(?:${SPACE}+prepare)?(?:${SPACE}*"((?:[^"]|"")+)"|${SPACE}+([a-z_][\\w$]*))${SPACE}*;?${SPACE}*$`,
  'i',
)

/**
 * Returns the name in a text that is `DEALLOCATE name` and nothing else, folded as Postgres does; null for any other text, including
 * `DEALLOCATE ALL`.
 * https://www.postgresql.org/docs/current/sql-deallocate.html
 */
export function deallocatedName(text: string): string | null {
  const match = DEALLOCATE.exec(text)
  if (!match) return null
  const [, quoted, plain] = match
  if (quoted !== undefined) return quoted.replaceAll('""', '"')
  const name = (plain ?? '').toLowerCase()
  return name === 'all' ? null : name
}

/** A text that begins with this drops all statements of a session, unless it fails. */
const DEALLOCATE_ALL = /^\s*(?:deallocate\s+(?:prepare\s+)?all|discard\s+all)\b/i

/** How much of the beginning of a text is examined. */
const MAX_DEALLOCATE_ALL_BYTES = 64

/**
 * Whether the text that begins at `start`, of which the bytes up to `end` are available, begins with DEALLOCATE ALL or DISCARD ALL. Usually
 * two letters are enough to tell.
 * https://www.postgresql.org/docs/current/sql-discard.html
 */
export function deallocatesAll(buffer: Buffer, start: number, end: number): boolean {
  const at = firstWord(buffer, start, end)
  if (((buffer[at] as number) | 0x20) !== 0x64) return false // d
  const second = (buffer[at + 1] as number) | 0x20
  if (second !== 0x65 && second !== 0x69) return false // e, i
  return DEALLOCATE_ALL.test(buffer.toString('latin1', at, Math.min(end, at + MAX_DEALLOCATE_ALL_BYTES)))
}

/**
 * Whether a text may be a DEALLOCATE, by its first letters, since nearly every query is something else. The text begins at `start` in a
 * message of `length` bytes, of which those up to `end` are available.
 */
export function mayDeallocate(buffer: Buffer, start: number, end: number, length: number): boolean {
  if (length > MAX_DEALLOCATE_BYTES) return false
  const at = firstWord(buffer, start, end)
  return (
    ((buffer[at] as number) | 0x20) === 0x64 && // d
    ((buffer[at + 1] as number) | 0x20) === 0x65 && // e
    ((buffer[at + 2] as number) | 0x20) === 0x61 // a
  )
}
