/** SQL that drops a client's prepared statements, which were prepared by the protocol and have other names on servers. */

import { firstWord } from './scanning.ts'

/** Longer messages are not looked at. */
const MAX_DEALLOCATE_BYTES = 256

/** Comments between slashes and stars may be nested; such are left to Postgres. */
const SPACE = String.raw`(?:\s|--[^\r\n]*(?:[\r\n]|$)|/\*(?:(?!/\*|\*/)[^])*\*/)`

const DEALLOCATE = new RegExp(
  `^${SPACE}*deallocate(?:${SPACE}+prepare)?(?:${SPACE}*"((?:[^"]|"")+)"|${SPACE}+([a-z_][\\w$]*))${SPACE}*;?${SPACE}*$`,
  'i',
)

/**
 * The name in a text that is `DEALLOCATE name` and nothing else, as Postgres would fold it; null for any other, `ALL` included.
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

/** A text that begins with it drops all statements of a session, if it does not fail. */
const DEALLOCATE_ALL = /^\s*(?:deallocate\s+(?:prepare\s+)?all|discard\s+all)\b/i

/** Longer beginnings are not looked at. */
const MAX_DEALLOCATE_ALL_BYTES = 64

/**
 * Whether the text from `start` on, of which bytes up to `end` are there, begins with DEALLOCATE ALL or DISCARD ALL. In the usual case
 * a look at two letters.
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
 * A look at the first letters, since nearly every query is something else. `start` is where the text begins in a message of `length`
 * bytes, of which those up to `end` are there.
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
