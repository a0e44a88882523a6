import { afterEach, expect, test } from 'vitest'
import { InvariantError, invariant, onInvariantFailure } from '../../../src/base/invariant.ts'

const witness = onInvariantFailure(null)
onInvariantFailure(witness)

afterEach(() => {
  onInvariantFailure(witness)
})

test('an invariant that holds does nothing', () => {
  onInvariantFailure(() => expect.unreachable())
  invariant(true, 'one is one')
})

test('an invariant that does not hold throws an InvariantError with its message', () => {
  onInvariantFailure(null)
  expect(() => invariant(false, 'all is well')).toThrow(new InvariantError('all is well'))
})

test('a failure is reported to the witness even if the error is caught', () => {
  const seen: InvariantError[] = []
  onInvariantFailure((error) => seen.push(error))
  let caught: unknown
  try {
    invariant(false, 'all is well')
  } catch (error) {
    caught = error
  }
  expect(caught).toBeInstanceOf(InvariantError)
  expect(seen).toEqual([caught])
})

test('setting a witness returns the previous one, so that it can be restored', () => {
  const first = () => {}
  onInvariantFailure(first)
  expect(onInvariantFailure(null)).toBe(first)
  expect(onInvariantFailure(first)).toBeNull()
})
