/** Work that takes long is done by and by. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Turns } from '../../../src/client/turns.ts'

function begin(limit: number) {
  const done: number[] = []
  const turns = new Turns(() => limit)
  return { done, turns, ask: (...names: number[]) => names.forEach((name) => void turns.take(() => done.push(name))) }
}

test('one comes at once, and the others in their order, so many for each turn of all', async () => {
  const { done, turns, ask } = begin(2)
  ask(1, 2, 3, 4, 5)
  expect(done).toEqual([1, 2])
  expect(turns.waiting).toBe(3)
  await nextTurn()
  expect(done).toEqual([1, 2, 3, 4])
  ask(6)
  expect(done, 'nobody overtakes').toEqual([1, 2, 3, 4])
  await nextTurn()
  expect(done).toEqual([1, 2, 3, 4, 5, 6])
  await nextTurn()
  ask(7)
  expect(done).toEqual([1, 2, 3, 4, 5, 6, 7])
})

test('without a limit all come at once', () => {
  const { done, ask } = begin(0)
  ask(1, 2, 3)
  expect(done).toEqual([1, 2, 3])
})

test('whoever comes while one is worked on waits too', async () => {
  const { done, turns, ask } = begin(1)
  turns.take(() => ask(2))
  expect(done).toEqual([])
  await nextTurn()
  expect(done).toEqual([2])
})
