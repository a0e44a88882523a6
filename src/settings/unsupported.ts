/** Settings that PgBouncer knows and this release does not build: a file that has them still works, and says what it does without. */

export interface UnsupportedRow {
  /** What follows from ignoring it, for the operator. */
  readonly without: string
  /** Values that ask for what we do anyway: nothing is said about them. */
  readonly fine?: readonly string[]
  /**
   * Where set, any other value (but those in `fine`) is an error rather than a warning, because ignoring it would weaken security
   * or change who may log in.
   */
  readonly refusedUnless?: readonly string[]
}

export const UNSUPPORTED_SETTINGS: Readonly<Record<string, UnsupportedRow>> = {}

export const UNSUPPORTED_DATABASE_KEYS: Readonly<Record<string, UnsupportedRow>> = {}

export const UNSUPPORTED_USER_KEYS: Readonly<Record<string, UnsupportedRow>> = {}

export type Verdict = 'fine' | 'ignored' | 'refused'

export function judge(row: UnsupportedRow, value: string): Verdict {
  const word = value.toLowerCase()
  if (row.fine?.includes(word)) return 'fine'
  return row.refusedUnless === undefined || row.refusedUnless.includes(word) ? 'ignored' : 'refused'
}
