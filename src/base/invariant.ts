/** Checks for our own mistakes: a failed invariant ends what it concerns and fails the test run. */

export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

type Witness = (error: InvariantError) => void

let witness: Witness | null = null

/** Throws an `InvariantError` unless `holds`. The message is only for developers: it names what was believed. */
export function invariant(holds: boolean, message: string): asserts holds {
  if (holds) return
  const error = new InvariantError(message)
  witness?.(error)
  throw error
}

/** Tells `next` of each failure before it is thrown, so that a failure which somebody catches is still seen. Returns the one before. */
export function onInvariantFailure(next: Witness | null): Witness | null {
  const before = witness
  witness = next
  return before
}
