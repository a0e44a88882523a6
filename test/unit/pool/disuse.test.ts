import { expect, test } from 'vitest'
import { Disuse } from '../../../src/pool/disuse.ts'

/** The state of a pool that nobody has used since `nowMs`. */
function disusedSince(nowMs: number): Disuse {
  const disuse = new Disuse()
  disuse.note(true, 0)
  disuse.note(false, nowMs)
  return disuse
}

test('a pool that was used a moment ago is kept, even if no login has ever succeeded in it', () => {
  const disuse = new Disuse()
  expect(disuse.isLongEnough(false, 100, 1_000)).toBe(false)
  disuse.note(false, 1_000)
  disuse.note(true, 1_100)
  expect(disuse.isLongEnough(false, 100, 1_200)).toBe(false)
})

test('a pool in which a login has succeeded is removed after pool_idle_timeout, no matter how often it is checked meanwhile', () => {
  const disuse = disusedSince(1_000)
  disuse.note(false, 1_050)
  expect([1_099, 1_100].map((nowMs) => disuse.isLongEnough(true, 100, nowMs))).toEqual([false, true])
})

test('an unused pool in which no login has ever succeeded is removed at once; with pool_idle_timeout = 0 any other pool is kept', () => {
  const disuse = disusedSince(1_000)
  expect([false, true].map((hasWorked) => disuse.isLongEnough(hasWorked, 0, 1e9))).toEqual([true, false])
  expect(disuse.isLongEnough(false, 100, 1_000)).toBe(true)
})
