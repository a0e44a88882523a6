import { createHash, createHmac } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hmacSha256, sha256 } from '../../../src/auth/hmac.ts'
import { onInvariantFailure } from '../../../src/base/invariant.ts'

const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array))

test('sha256 gives the same as createHash', () => {
  fc.assert(
    fc.property(bytes(300), (message) => {
      expect(sha256(message)).toEqual(createHash('sha256').update(message).digest())
    }),
  )
})

test('hmacSha256 gives the same as createHmac for keys up to one block and messages of any length', () => {
  fc.assert(
    fc.property(bytes(64), bytes(300), (key, message) => {
      const text = message.toString('latin1')
      expect(hmacSha256(key, text)).toEqual(createHmac('sha256', key).update(text, 'latin1').digest())
    }),
  )
})

test.each([0, 1, 1023, 1024, 1025, 5000])(
  'hmacSha256 gives the same as createHmac for a message of %i bytes',
  (length) => {
    const [key, text] = ['k'.repeat(32), '\u00e9'.repeat(length)]
    const expected = createHmac('sha256', key).update(text, 'latin1').digest()
    expect(hmacSha256(Buffer.from(key), text)).toEqual(expected)
    hmacSha256(Buffer.from(key), `${text}longer`)
    expect(hmacSha256(Buffer.from(key), text)).toEqual(expected)
  },
)

test('a key longer than a block is an invariant failure, because it would have to be hashed first', () => {
  const told = onInvariantFailure(null)
  try {
    expect(() => hmacSha256(Buffer.alloc(65), '')).toThrow('longer than a block')
  } finally {
    onInvariantFailure(told)
  }
})
