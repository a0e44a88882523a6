import { expect, test } from 'vitest'
import { Restraint } from '../../../src/workers/restraint.ts'

function start() {
  const heard: boolean[] = []
  return { restraint: new Restraint((accepts) => heard.push(accepts)), heard }
}

test('connections that come one by one are accepted without a pause', () => {
  const { restraint, heard } = start()
  for (let left = 3; left > 0; left--) {
    restraint.accepted()
    restraint.told(true, 1)
  }
  expect(heard).toEqual([])
})

test('of many connections at once two are accepted, and more once the primary has counted one of them', () => {
  const { restraint, heard } = start()
  restraint.accepted()
  restraint.accepted()
  expect(heard).toEqual([false])
  restraint.told(true, 0)
  expect(heard).toEqual([false])
  restraint.told(true, 1)
  expect(heard).toEqual([false, true])
})

test('the primary’s last word applies until it sends another', () => {
  const { restraint, heard } = start()
  restraint.accepted()
  restraint.accepted()
  restraint.told(false, 1)
  restraint.told(false, 1)
  expect(heard).toEqual([false])
  restraint.told(true, 0)
  expect(heard).toEqual([false, true])
  restraint.told(false, 0)
  expect(heard).toEqual([false, true, false])
})
