/** What other files take and this one does not: a comment behind a value, quotes around it. Pure. */

/** What is probably meant otherwise in a value, as a sentence of its own; null if nothing looks like that. */
export function slipIn(value: string): string | null {
  if (/[ \t][;#]/.test(value)) return 'a comment needs a line of its own, behind a value it is a part of that'
  if (/^(["']).*\1$/.test(value)) return 'the quotes are a part of the value, leave them out'
  return null
}

/** The same behind another problem of the value, or nothing. */
export function slipHint(value: string): string {
  const slip = slipIn(value)
  return slip === null ? '' : `; ${slip}`
}
