/** Guesses which name was meant by a misspelled one. */

/** Returns the candidate with the fewest edits, or null if all are too different. */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  let best: string | null = null
  let fewest = Math.min(MAX_EDITS, Math.ceil(word.length / 3)) + 1
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) >= fewest) continue
    const count = editsBetween(word, candidate)
    if (count < fewest) {
      best = candidate
      fewest = count
    }
  }
  return best
}

/** Returns `; did you mean "x"?`, or an empty text. */
export function suggestion(word: string, candidates: Iterable<string>): string {
  const guess = nearest(word, candidates)
  return guess === null ? '' : `; did you mean "${guess}"?`
}

const MAX_EDITS = 4

/** How many characters have to be added, dropped, replaced or swapped with their neighbor to turn one word into the other. */
function editsBetween(from: string, to: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const isSame = from[row - 1] === to[column - 1]
      const isSwap = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      current[column] = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
        isSwap ? (beforeLast[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      )
    }
    beforeLast = last
    last = current
  }
  return last[to.length] ?? 0
}
