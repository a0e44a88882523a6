import fc from 'fast-check'
import pg from 'pg'
import { expect, test } from 'vitest'
import { encodeBinary, type ValueType } from '../../../src/wire/binary.ts'
import { OID } from '../../../src/wire/rows.ts'

/** Returns the value as the `pg` driver decodes it. */
function decode(type: ValueType, bytes: Buffer): string {
  return String(pg.types.getTypeParser(OID[type], 'binary')(bytes))
}

test('a driver reads back integers at the limits of their type', () => {
  for (const value of [0, 1, -1, 6432, 2_147_483_647, -2_147_483_648])
    expect(decode('int4', encodeBinary('int4', value))).toBe(String(value))
  for (const value of [0n, -1n, 2n ** 62n]) expect(decode('int8', encodeBinary('int8', value))).toBe(String(value))
})

test('a driver reads back a numeric, with zeros in the middle and at the end', () => {
  const numbers = [0, 1, 9_999, 10_000, 10_001, 100_000_000, 123_456_789_012, 1_000_200_030_004]
  for (const value of numbers) expect(decode('numeric', encodeBinary('numeric', value))).toBe(String(value))
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      expect(Number(decode('numeric', encodeBinary('numeric', value)))).toBe(value)
    }),
  )
})

test('a numeric has the bytes that PostgreSQL sends', () => {
  // select numeric_send(x): ndigits, weight, sign, dscale, digits.
  expect(encodeBinary('numeric', 0).toString('hex')).toBe('0000000000000000')
  expect(encodeBinary('numeric', 10_000).toString('hex')).toBe('00010001000000000001')
  expect(encodeBinary('numeric', -12_345).toString('hex')).toBe('000200014000000000010929')
})

test('text has the same bytes in both formats', () => {
  expect(encodeBinary('text', 'größer').toString()).toBe('größer')
})
