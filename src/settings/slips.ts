/** Finds likely mistakes in values that are valid in other file formats: a comment after the value, quotes around it. Pure. */

/** Returns a sentence about a likely mistake in a value; null if there is none. */
export function slipIn(value: string): string | null {
  if (/[ \t][;#]/.test(value)) return 'a comment needs its own line; after a value, it is part of the value'
  if (/^(["']).*\1$/.test(value)) return 'the quotes are part of the value; remove them'
  return null
}

/** Returns the same sentence for appending to another problem, or an empty text. */
export function slipHint(value: string): string {
  const slip = slipIn(value)
  return slip === null ? '' : `; ${slip}`
}
