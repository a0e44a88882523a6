import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HEADER_BYTES } from '../../../src/wire/frames.ts'
import {
  bindStatementStart,
  countResultFormats,
  encodeCloseStatement,
  encodeDescribeStatement,
  encodeParse,
  encodePassword,
  encodeQuery,
  encodeSaslInitial,
  encodeSaslResponse,
  FLUSH,
  PORTAL,
  STATEMENT,
  SYNC,
  TERMINATE,
  textEnd,
} from '../../../src/wire/frontend.ts'
import { FRONTEND } from '../../../src/wire/types.ts'
import { rawFrame, someText } from '../../support/random-frames.ts'

// Written byte by byte according to https://www.postgresql.org/docs/current/protocol-message-formats.html
for (const [name, bytes, expected] of [
  ['Sync', SYNC, 'S\0\0\0\x04'],
  ['Flush', FLUSH, 'H\0\0\0\x04'],
  ['Terminate', TERMINATE, 'X\0\0\0\x04'],
  ['Query', encodeQuery('select'), 'Q\0\0\0\x0bselect\0'],
  ['PasswordMessage', encodePassword('pw'), 'p\0\0\0\x07pw\0'],
  ['SASLInitialResponse', encodeSaslInitial('S', Buffer.from('n,,')), 'p\0\0\0\x0dS\0\0\0\0\x03n,,'],
  ['SASLResponse', encodeSaslResponse(Buffer.from('c=biws')), 'p\0\0\0\x0ac=biws'],
  ['Parse', encodeParse('s1', Buffer.from('q\0\0\0')), 'P\0\0\0\x0bs1\0q\0\0\0'],
  ['Close', encodeCloseStatement('s1'), 'C\0\0\0\x08Ss1\0'],
  ['Describe', encodeDescribeStatement('s1'), 'D\0\0\0\x08Ss1\0'],
] as const)
  test(`${name} has the bytes that the protocol specifies`, () => {
    expect(bytes.toString('latin1')).toBe(expected)
  })

test('STATEMENT and PORTAL are the letters of the protocol', () => {
  expect(String.fromCharCode(STATEMENT, PORTAL)).toBe('SP')
})

test('textEnd finds the end of a string, and does not look beyond the given end', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20 }), fc.nat(20), fc.nat(20), (bytes, from, to) => {
      const buffer = Buffer.from(bytes)
      const start = Math.min(from, to, buffer.length)
      const end = Math.min(Math.max(from, to), buffer.length)
      const within = buffer.subarray(start, end).indexOf(0)
      expect(textEnd(buffer, start, end)).toBe(within === -1 ? -1 : start + within)
    }),
  )
})

test('in a partial Bind, the statement’s start is unknown until the portal’s name is complete', () => {
  fc.assert(
    fc.property(someText, someText, (portal, statement) => {
      const bind = rawFrame(FRONTEND.bind, Buffer.from(`${portal}\0${statement}\0\0\0\0\0\0\0`))
      const crowd = Buffer.concat([Buffer.alloc(3), bind, Buffer.alloc(3)])
      const expected = HEADER_BYTES + Buffer.byteLength(portal) + 1
      for (let length = HEADER_BYTES; length <= bind.length; length++) {
        expect(bindStatementStart(bind, 0, length)).toBe(length < expected ? -1 : expected)
        expect(bindStatementStart(crowd, 3, 3 + length)).toBe(length < expected ? -1 : expected + 3)
      }
      expect(bind.toString('utf8', expected, textEnd(bind, expected, bind.length))).toBe(statement)
    }),
  )
})

describe('the number of result formats in a Bind', () => {
  const start = HEADER_BYTES + 2
  const bindOf = (body: string) => Buffer.from(`B\0\0\0\0\0\0${body}`, 'latin1')

  test.each([
    ['none', '\0\0\0\0\0\0', 0],
    ['one for all', '\0\0\0\0\0\x01\0\x01', 1],
    ['three', '\0\0\0\0\0\x03\0\0\0\x01\0\0', 3],
    ['after parameter formats', '\0\x02\0\x01\0\x01\0\0\0\x02\0\0\0\0', 2],
    ['after values, one of them null', '\0\0\0\x02\0\0\0\x03abc\xff\xff\xff\xff\0\x02\0\0\0\0', 2],
  ])('%s', (_, body, expected) => {
    const frame = bindOf(body)
    expect(countResultFormats(frame, start, frame.length)).toBe(expected)
  })

  test('is 0 if the Bind is cut off or a length in it is wrong', () => {
    const whole = '\0\x01\0\x01\0\x01\0\0\0\x03abc\0\x02'
    for (let length = 0; length < whole.length; length++) {
      const frame = bindOf(whole.slice(0, length))
      expect(countResultFormats(frame, start, frame.length)).toBe(0)
    }
    const lying = bindOf('\0\0\0\x01\x7f\xff\xff\xff\0\x02')
    expect(countResultFormats(lying, start, lying.length)).toBe(0)
  })
})
