/** Finds likely mistakes in values that are valid in other file formats: a comment after the value, quotes around it. Pure. */

/** Returns a sentence about a likely mistake in a value; null if there is none. */
export function slipIn(value: string): string | null {
  if (/[ \t][;#]/.test(value)) return 'a comment needs a line of its own, behind a value it is a part of that'
  if (/^(["']).*\1$/.test(value)) return 'the quotes are a part of the value, leave them out'
  return null
}

/** Returns the same sentence for appending to another problem, or an empty text. */
export function slipHint(value: string): string {
  const slip = slipIn(value)
  return slip === null ? '' : `; ${slip}`
}
