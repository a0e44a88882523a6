import { expect, test } from 'vitest'
import { type Holding, isFree, keepsServer } from '../../../src/client/keeping.ts'

const DONE: Holding = { mode: 'transaction', isServerClean: true, owedToClient: 0, isMidRequest: false }

test('a server goes back when nothing is left of its client', () => {
  expect(keepsServer(DONE)).toBe(false)
  expect(keepsServer({ ...DONE, mode: 'statement' })).toBe(false)
})

test('a server stays while anything is left of its client', () => {
  for (const left of [{ isServerClean: false }, { owedToClient: 1 }, { isMidRequest: true }])
    expect(keepsServer({ ...DONE, ...left })).toBe(true)
})

test('in session mode it stays until its client leaves, and may then be used again', () => {
  expect(keepsServer({ ...DONE, mode: 'session' })).toBe(true)
  expect(isFree(DONE)).toBe(true)
})
