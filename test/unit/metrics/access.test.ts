import { expect, test } from 'vitest'
import { isAllowed } from '../../../src/metrics/access.ts'

test('without a token everybody has access', () => {
  expect(isAllowed('', '')).toBe(true)
  expect(isAllowed('', 'Bearer x')).toBe(true)
})

test.each(['Bearer s3cret', 'bearer s3cret', 'Bearer   s3cret '])('"%s" gives access', (authorization) => {
  expect(isAllowed('s3cret', authorization)).toBe(true)
})

test('a token may contain any characters, sent as UTF-8', () => {
  const header = (token: string) => `Bearer ${Buffer.from(token).toString('latin1')}`
  expect(isAllowed('tökén ☃', header('tökén ☃'))).toBe(true)
  expect(isAllowed('tökén ☃', header('tökén'))).toBe(false)
  // Its last byte would be a space in LATIN1.
  expect(isAllowed('voilà', header('voilà'))).toBe(true)
})

test.each(['', 'Bearer', 'Bearer ', 'Bearer s3cre', 'Bearer s3cret2', 'Bearer S3CRET', 'Basic s3cret', 's3cret'])(
  '"%s" gives no access',
  (authorization) => {
    expect(isAllowed('s3cret', authorization)).toBe(false)
  },
)

test('a long run of spaces in the header takes no more steps than other characters', () => {
  // With quadratic work, this takes a minute.
  expect(isAllowed('s3cret', `Bearer s3cret${' '.repeat(200_000)}x`)).toBe(false)
  expect(isAllowed('s3cret', `Bearer s3cret${' '.repeat(200_000)}`)).toBe(true)
})
