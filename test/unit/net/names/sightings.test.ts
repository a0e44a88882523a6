import { expect, test } from 'vitest'
import { REMEMBERED_MS, Sightings } from '../../../../src/net/names/sightings.ts'

/** Answers one second after the other; what each says of where the host is. */
function see(...answers: readonly (readonly string[])[]) {
  const sightings = new Sightings()
  return answers.map((addresses, second) => {
    const now = sightings.see(addresses, second * 1_000)
    return now === null ? null : [...now].sort()
  })
}

test('the first answer is no news', () => {
  expect(see(['a'])).toEqual([null])
})

test('a host that has another address has moved at once', () => {
  expect(see(['a'], ['b'])).toEqual([null, ['b']])
})

test('one of several addresses may be gone', () => {
  expect(see(['a', 'b'], ['b'])).toEqual([null, ['b']])
})

test('where an address comes back, the answers take turns, and none that was seen is gone', () => {
  expect(see(['a'], ['b'], ['a'], ['b'])).toEqual([null, ['b'], ['a', 'b'], ['a', 'b']])
})

test('until it was not seen for long', () => {
  const sightings = new Sightings()
  for (const [index, address] of ['a', 'b', 'a', 'b'].entries()) sightings.see([address], index)
  expect([...(sightings.see(['b'], REMEMBERED_MS + 10) ?? [])]).toEqual(['b'])
})
