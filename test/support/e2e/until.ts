/** Waits for conditions, so that no test sleeps. */

const POLL_MS = 3
const PATIENCE_MS = 15_000

/** The patience for work of several processes on a busy machine. */
export const LONG_PATIENCE_MS = 60_000

/** Polls until the condition holds; fails with a sentence that says what was awaited. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const deadlineMs = performance.now() + patienceMs
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`waited ${patienceMs / 1000} s in vain until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** Returns what the promise was rejected with; fails if it was not rejected. */
export async function failureOf<Failure = Error>(promise: PromiseLike<unknown>): Promise<Failure> {
  try {
    await promise
  } catch (failure) {
    return failure as Failure
  }
  throw new Error('it succeeded, and should have failed')
}
