/** Whether a text makes a temporary table and does nothing else: https://www.postgresql.org/docs/current/sql-createtable.html */

import { firstWord } from './scanning.ts'

/** A semicolon within may end the command, or be part of a constant; both are left to those who know. */
const CREATE_TEMPORARY = /^\s*create\s+(?:(?:local|global)\s+)?temp(?:orary)?\s+table\s[^;]*;?\s*$/i

/** Longer texts are not looked at. */
const MAX_BYTES = 16 * 1024

/** The text from `start` to `end`. In the usual case a look at two letters. */
export function createsTemporary(buffer: Buffer, start: number, end: number): boolean {
  const at = firstWord(buffer, start, end)
  if (((buffer[at] as number) | 0x20) !== 0x63 || ((buffer[at + 1] as number) | 0x20) !== 0x72) return false // c, r
  return end - at <= MAX_BYTES && CREATE_TEMPORARY.test(buffer.toString('latin1', at, end))
}
