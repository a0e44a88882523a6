/** Waits for what must become true, so that no test sleeps. */

const POLL_MS = 3
const PATIENCE_MS = 15_000

/** For what takes the work of several processes, on a machine that has other things to do as well. */
export const LONG_PATIENCE_MS = 60_000

/** Asks again and again until the answer is yes; fails with the sentence of what never came. */
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

/** What a promise was rejected with; fails if it was not. */
export async function failureOf<Failure = Error>(promise: PromiseLike<unknown>): Promise<Failure> {
  try {
    await promise
  } catch (failure) {
    return failure as Failure
  }
  throw new Error('it succeeded, and should have failed')
}
