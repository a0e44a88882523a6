import { expect, test } from 'vitest'
import { Conditions } from '../../../src/daemon/conditions.ts'

test('a promise resolves at once if its condition holds, otherwise at the next check at which it does', async () => {
  const conditions = new Conditions()
  await conditions.until(() => true)
  let count = 0
  const kept: string[] = []
  const one = conditions.until(() => count >= 1).then(() => kept.push('one'))
  const two = conditions.until(() => count >= 2).then(() => kept.push('two'))
  count = 1
  conditions.check()
  await one
  expect(kept).toEqual(['one'])
  count = 2
  conditions.check()
  await two
  expect(kept).toEqual(['one', 'two'])
})

test('several checks in one turn of the event loop test a condition once', async () => {
  const conditions = new Conditions()
  let looks = 0
  conditions.until(() => ++looks > 10)
  for (let times = 0; times < 5; times++) conditions.check()
  await Promise.resolve()
  expect(looks).toBe(2)
})

test('a promise rejects if its condition can no longer come true', async () => {
  const conditions = new Conditions()
  let isOver = false
  const promise = conditions.until(() => {
    if (isOver) throw new Error('it is over')
    return false
  })
  isOver = true
  conditions.check()
  await expect(promise).rejects.toThrow('it is over')
})
