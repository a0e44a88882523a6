import { expect, test } from 'vitest'
import { nearest } from '../../../src/settings/nearest.ts'

const KEYS = ['pool_mode', 'pool_size', 'default_pool_size', 'port', 'listen_port', 'user']

test.each([
  ['defalt_pool_size', 'default_pool_size'],
  ['default_pool_sise', 'default_pool_size'],
  ['poolmode', 'pool_mode'],
  ['lsiten_port', 'listen_port'],
  ['prot', 'port'],
  ['usr', 'user'],
])('for %s the suggestion is %s', (slip, meant) => {
  expect(nearest(slip, KEYS)).toBe(meant)
})

test('there is no suggestion for a name that resembles none', () => {
  expect(nearest('hunter2', KEYS)).toBeNull()
  expect(nearest('x', KEYS)).toBeNull()
})
