import { afterEach, expect, test } from 'vitest'
import { InvariantError, invariant, onInvariantFailure } from '../../../src/base/invariant.ts'

const witness = onInvariantFailure(null)
onInvariantFailure(witness)

afterEach(() => {
  onInvariantFailure(witness)
})

test('what holds passes without a word', () => {
  onInvariantFailure(() => expect.unreachable())
  invariant(true, 'one is one')
})

test('what does not hold is thrown with what was believed', () => {
  onInvariantFailure(null)
  expect(() => invariant(false, 'all is well')).toThrow(new InvariantError('all is well'))
})

test('a failure that somebody catches was still seen', () => {
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

test('whoever takes over as witness is given the one before, to put it back', () => {
  const first = () => {}
  onInvariantFailure(first)
  expect(onInvariantFailure(null)).toBe(first)
  expect(onInvariantFailure(first)).toBeNull()
})
