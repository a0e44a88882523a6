/** Runs before each test file: a failed invariant fails the test in which it happened, even if the error was caught. */

import { afterAll, afterEach } from 'vitest'
import { type InvariantError, onInvariantFailure } from '../../src/base/invariant.ts'
import { endFile } from './file-end.ts'

let failures: InvariantError[] = []

onInvariantFailure((error) => failures.push(error))

/** For tests of invariants: returns the failures since the test began, which then no longer fail it. */
export function takeInvariantFailures(): InvariantError[] {
  const taken = failures
  failures = []
  return taken
}

function failOnFailures(): void {
  const [first, ...more] = takeInvariantFailures()
  if (!first) return
  const others = more.length > 0 ? ` and ${more.length} more` : ''
  throw new Error(`an invariant failed${others}; a test that means it to calls takeInvariantFailures()`, {
    cause: first,
  })
}

afterEach(failOnFailures)
// Runs after the file's own afterAll hooks. The second check is for failures between the last test and the end of the file.
afterAll(async () => {
  await endFile()
  failOnFailures()
})
