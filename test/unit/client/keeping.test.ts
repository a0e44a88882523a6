import { expect, test } from 'vitest'
import { type Holding, isFree, keepsServer } from '../../../src/client/keeping.ts'

const DONE: Holding = { mode: 'transaction', isServerClean: true, owedToClient: 0, isMidRequest: false }

test('a server is returned when its client has nothing open', () => {
  expect(keepsServer(DONE)).toBe(false)
  expect(keepsServer({ ...DONE, mode: 'statement' })).toBe(false)
})

test('a server is kept while its client has anything open', () => {
  for (const left of [{ isServerClean: false }, { owedToClient: 1 }, { isMidRequest: true }])
    expect(keepsServer({ ...DONE, ...left })).toBe(true)
})

test('in session mode a server is kept until its client leaves, and can then be reused', () => {
  expect(keepsServer({ ...DONE, mode: 'session' })).toBe(true)
  expect(isFree(DONE)).toBe(true)
})
