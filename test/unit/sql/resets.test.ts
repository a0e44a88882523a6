import { expect, test } from 'vitest'
import { resetsSettings, resetsToldBy } from '../../../src/sql/resets.ts'

const CASES: Readonly<Record<string, boolean>> = {
  'reset all': true,
  '-- the next client\n/* of many */ reset all': true,
  'RESET TimeZone;': true,
  '\n reset role': true,
  'discard all': true,
  'DISCARD  ALL;': true,
  'discard plans': false,
  'set timezone to default': true,
  'SET TimeZone=DEFAULT; select 1': true,
  'set session statement_timeout = default': true,
  'set time zone local': true,
  'set role none': true,
  'set session authorization default': true,
  'set local timezone to default': false,
  "set timezone to 'Europe/Rome'": false,
  'set default_transaction_isolation to serializable': false,
  'set my.defaults = 1': false,
  'select 1': false,
  'show all': false,
  resets: false,
  'release a': false,
  set: false,
  re: false,
  r: false,
  '': false,
}

for (const [text, resets] of Object.entries(CASES))
  test(`${JSON.stringify(text)} ${resets ? 'may reset settings' : 'resets nothing'}`, () => {
    const buffer = Buffer.from(`..${text}\0reset all`)
    expect(resetsSettings(buffer, 2, 2 + text.length)).toBe(resets)
  })

test.each([
  ['select a, b, c from', 19],
  ['reset all; select 1', 19],
  ['set statement_timeout', 256],
  ['  SET session a', 258],
  ['/* a comment that', 8192],
  ['/* a comment */ se', 8192],
  ['-- a comment\nbegin', 18],
])('for %j, the start of a longer text, %d bytes are enough to tell whether it resets settings', (text, bytes) => {
  const buffer = Buffer.from(`..${text}`)
  expect(resetsToldBy(buffer, 2, buffer.length)).toBe(bytes)
})
