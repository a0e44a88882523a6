import { createHash, pbkdf2Sync } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { saslprep } from '../../../src/auth/saslprep.ts'
import {
  HAS_LEFT_TO_RIGHT,
  HAS_RIGHT_TO_LEFT,
  MAPPED_TO_NOTHING,
  NON_ASCII_SPACES,
  PROHIBITED,
  UNASSIGNED,
} from '../../../src/auth/saslprep-tables.ts'
import { storedKeyFrom } from '../../../src/auth/scram-keys.ts'
import { recordedSecrets, scram } from './support.ts'

test.each([
  ['I\u00adX', 'IX', 'a soft hyphen is mapped to nothing'],
  ['user', 'user', 'no change'],
  ['USER', 'USER', 'the case is kept'],
  ['\u00aa', 'a', 'the output is in form KC'],
  ['\u2168', 'IX', 'the output is in form KC'],
  ['\u0007', '\u0007', 'a prohibited character: the password is used as it is'],
  ['\u06271', '\u06271', 'a bad direction: the password is used as it is'],
])('RFC 4013, section 3: %j becomes %j (%s)', (input, output) => {
  expect(saslprep(input).toString()).toBe(output)
})

test('every recorded password is prepared as in Postgres', () => {
  for (const { password, scram: text } of recordedSecrets) {
    const secret = scram(text)
    const salted = pbkdf2Sync(saslprep(password), secret.salt, secret.iterations, 32, 'sha256')
    expect([password, storedKeyFrom(salted)]).toEqual([password, secret.storedKey])
  }
})

test('a password that is not UTF-8 is used unchanged', () => {
  for (const bytes of ['aa', 'c2', 'e4e4', 'c0af', 'eda080', 'f4908080', '2aff', 'efbbbfaa']) {
    expect(saslprep(Buffer.from(bytes, 'hex')).toString('hex')).toBe(bytes)
  }
  expect(saslprep(Buffer.from('c2aa', 'hex')).toString()).toBe('a')
})

test('the result does not share memory with the input, which may be a reused buffer', () => {
  const chunk = Buffer.from('secret')
  const prepared = saslprep(chunk)
  chunk.fill(0)
  expect(prepared.toString()).toBe('secret')
})

test('bytes and text of a password give the same result, and preparing it again changes nothing', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (password) => {
      const bytes = Buffer.from(password)
      expect(saslprep(bytes).equals(saslprep(bytes.toString()))).toBe(true)
    }),
  )
  for (const { password } of recordedSecrets) {
    const once = saslprep(password)
    // A password that was used unchanged may be refused for another reason than its form, so only the others must be stable.
    if (once.toString() !== password) expect(saslprep(once)).toEqual(once)
  }
})

// The sums were computed with Python's stringprep module, over ranges written as "first-last" in hex.
test.each([
  ['A.1', UNASSIGNED, 879_309, '2cbb80ef64438fff'],
  ['B.1', MAPPED_TO_NOTHING, 27, '90748dc53c8fd751'],
  ['C.1.2', NON_ASCII_SPACES, 17, 'ac86095acc7274ec'],
  ['C.1.2 to C.9', PROHIBITED, 139_813, 'b4a90beefd3ba7b7'],
  ['D.1', HAS_RIGHT_TO_LEFT, 1_044, '560e0eb7e6167eb6'],
  ['D.2', HAS_LEFT_TO_RIGHT, 229_973, 'c97af4358e77f0ac'],
])('table %s holds the characters of RFC 3454', (_, pattern, count, sum) => {
  const one = new RegExp(pattern.source, 'u')
  const ranges: { first: number; last: number }[] = []
  for (let code = 0; code <= 0x10ffff; code++) {
    if (!one.test(String.fromCodePoint(code))) continue
    const before = ranges.at(-1)
    if (before?.last === code - 1) before.last = code
    else ranges.push({ first: code, last: code })
  }
  const text = ranges.map(({ first, last }) => `${first.toString(16)}-${last.toString(16)}`).join(' ')
  expect(ranges.reduce((total, { first, last }) => total + last - first + 1, 0)).toBe(count)
  expect(createHash('sha256').update(text).digest('hex').slice(0, 16)).toBe(sum)
})
