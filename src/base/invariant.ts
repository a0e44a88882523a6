/** Checks for our own mistakes: a failed invariant ends the work that it concerns, and fails the test run. */

export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

type Witness = (error: InvariantError) => void

let witness: Witness | null = null

/** Throws an `InvariantError` unless `holds`. The message is for developers only. */
export function invariant(holds: boolean, message: string): asserts holds {
  if (holds) return
  const error = new InvariantError(message)
  witness?.(error)
  throw error
}

/** Calls `next` with each failure before it is thrown, so that a failure that is caught somewhere is still seen. Returns the previous witness. */
export function onInvariantFailure(next: Witness | null): Witness | null {
  const before = witness
  witness = next
  return before
}
