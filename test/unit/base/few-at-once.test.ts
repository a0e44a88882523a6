import { expect, test } from 'vitest'
import { FewAtOnce } from '../../../src/base/few-at-once.ts'
import { quiet } from '../../support/flow/inbox.ts'

function setUp(max: number) {
  const few = new FewAtOnce(max)
  const begun: string[] = []
  const ends: (() => void)[] = []
  const begin = (name: string, place?: string) =>
    few.do(() => {
      begun.push(name)
      return new Promise<void>((resolve) => ends.push(resolve))
    }, place)
  async function endOne() {
    ends.shift()?.()
    await quiet()
  }
  return { few, begun, begin, endOne }
}

test('work beyond the limit waits in line, also behind work that fails', async () => {
  const { few, begun, begin, endOne } = setUp(2)
  for (const name of ['a', 'b', 'c', 'd']) begin(name)
  expect(begun).toEqual(['a', 'b'])
  await endOne()
  expect(begun).toEqual(['a', 'b', 'c'])
  for (let times = 0; times < 3; times++) await endOne()
  expect(begun).toEqual(['a', 'b', 'c', 'd'])
  await expect(few.do(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken')
  begin('e')
  begin('f')
  expect(begun.slice(4)).toEqual(['e', 'f'])
})

test('places take turns, so that much work from one place does not delay that from others', async () => {
  const { begun, begin, endOne } = setUp(1)
  for (const name of ['a1', 'a2', 'a3', 'a4']) begin(name, 'a')
  for (const name of ['b1', 'b2']) begin(name, 'b')
  begin('c1', 'c')
  for (let times = 0; times < 7; times++) await endOne()
  expect(begun).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4'])
})
