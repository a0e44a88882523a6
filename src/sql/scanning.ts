/** Finds positions in SQL text: https://www.postgresql.org/docs/current/sql-syntax-lexical.html */

/** Returns where the first word begins, after spaces, comments and opening parentheses. */
export function firstWord(buffer: Buffer, start: number, end: number): number {
  let at = start
  while (at < end) {
    const letter = buffer[at] as number
    if (isSpace(letter) || letter === OPEN) at++
    else {
      const close = endOfComment(buffer, at, end)
      if (close === at) break
      at = close
    }
  }
  return at
}

/** Returns the end of the comment that begins at `start`; `start` if there is none. Comments between slashes and stars may be nested. */
export function endOfComment(buffer: Buffer, start: number, end: number): number {
  const first = buffer[start]
  const second = buffer[start + 1]
  if (first === DASH && second === DASH) {
    let at = start
    while (at < end && buffer[at] !== 0x0a && buffer[at] !== 0x0d) at++
    return at
  }
  if (first !== SLASH || second !== STAR) return start
  let depth = 1
  let at = start + 2
  while (at < end && depth > 0) {
    if (buffer[at] === SLASH && buffer[at + 1] === STAR) {
      depth++
      at += 2
    } else if (buffer[at] === STAR && buffer[at + 1] === SLASH) {
      depth--
      at += 2
    } else at++
  }
  return Math.min(at, end)
}

export function isSpace(letter: number): boolean {
  return letter === 0x20 || (letter >= 0x09 && letter <= 0x0d)
}

export const DASH = 0x2d
export const SLASH = 0x2f
const STAR = 0x2a
const OPEN = 0x28
