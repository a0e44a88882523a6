/** Recognizes a text that only creates a temporary table: https://www.postgresql.org/docs/current/sql-createtable.html */

import { firstWord } from './scanning.ts'

/** A semicolon within the text may end the command or be part of a constant. Such texts do not match; callers assume the worst of them. */
const CREATE_TEMPORARY = /^\s*create\s+(?:(?:local|global)\s+)?temp(?:orary)?\s+table\s[^;]*;?\s*$/i

/** Longer texts are not examined. */
const MAX_BYTES = 16 * 1024

/** Whether the text from `start` to `end` creates a temporary table and does nothing else. Usually two letters are enough to tell. */
export function createsTemporary(buffer: Buffer, start: number, end: number): boolean {
  const at = firstWord(buffer, start, end)
  if (((buffer[at] as number) | 0x20) !== 0x63 || ((buffer[at + 1] as number) | 0x20) !== 0x72) return false // c, r
  return end - at <= MAX_BYTES && CREATE_TEMPORARY.test(buffer.toString('latin1', at, end))
}
