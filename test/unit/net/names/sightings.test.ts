import { expect, test } from 'vitest'
import { REMEMBERED_MS, Sightings } from '../../../../src/net/names/sightings.ts'

/** Feeds answers one second apart. Returns, for each, the addresses now considered those of the host, or null without a change. */
function see(...answers: readonly (readonly string[])[]) {
  const sightings = new Sightings()
  return answers.map((addresses, second) => {
    const now = sightings.see(addresses, second * 1_000)
    return now === null ? null : [...now].sort()
  })
}

test('the first answer is no change', () => {
  expect(see(['a'])).toEqual([null])
})

test('a host that resolves to another address has moved at once', () => {
  expect(see(['a'], ['b'])).toEqual([null, ['b']])
})

test('one of several addresses can disappear', () => {
  expect(see(['a', 'b'], ['b'])).toEqual([null, ['b']])
})

test('if an address comes back, answers alternate, and all addresses seen remain valid', () => {
  expect(see(['a'], ['b'], ['a'], ['b'])).toEqual([null, ['b'], ['a', 'b'], ['a', 'b']])
})

test('an address in such an alternation disappears once it has not been seen for long', () => {
  const sightings = new Sightings()
  for (const [index, address] of ['a', 'b', 'a', 'b'].entries()) sightings.see([address], index)
  expect([...(sightings.see(['b'], REMEMBERED_MS + 10) ?? [])]).toEqual(['b'])
})
