import { expect, test } from 'vitest'
import { BACKEND, FRONTEND, typeName } from '../../../src/wire/types.ts'

test('each type byte stands for one message per direction', () => {
  for (const types of [FRONTEND, BACKEND]) expect(new Set(Object.values(types)).size).toBe(Object.keys(types).length)
})

test('a type is shown as its letter, or as a number if it is not printable', () => {
  expect([0x51, 0x31, 0x7e].map(typeName)).toEqual(["'Q'", "'1'", "'~'"])
  expect([0, 0x0a, 0x20, 0x7f, 0xff].map(typeName)).toEqual(['0x00', '0x0a', '0x20', '0x7f', '0xff'])
})
