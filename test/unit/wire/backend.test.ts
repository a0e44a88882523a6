import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  AUTHENTICATION_CLEARTEXT,
  AUTHENTICATION_OK,
  BIND_COMPLETE,
  CLOSE_COMPLETE,
  decodeCommandTag,
  decodeParameterStatus,
  decodeSaslMechanisms,
  EMPTY_QUERY,
  encodeAuthenticationMd5,
  encodeAuthenticationSasl,
  encodeAuthenticationSaslContinue,
  encodeAuthenticationSaslFinal,
  encodeBackendKeyData,
  encodeCommandComplete,
  encodeNegotiateProtocolVersion,
  encodeParameterDescription,
  encodeParameterStatus,
  NO_DATA,
  PARSE_COMPLETE,
  READY_IDLE,
} from '../../../src/wire/backend.ts'
import { Frames, needsTable, WHOLE } from '../../../src/wire/frames.ts'
import { understand } from '../../../src/wire/reported-text.ts'
import { BACKEND } from '../../../src/wire/types.ts'
import { rawFrame, someText } from '../../support/random-frames.ts'
import { everySplit, readShared } from '../../support/splits.ts'

function inUtf8(name: string, value: string): Buffer {
  return encodeParameterStatus(name, value, 'UTF8') as Buffer
}

// Written byte by byte according to https://www.postgresql.org/docs/current/protocol-message-formats.html
for (const [name, bytes, expected] of [
  ['ParseComplete', PARSE_COMPLETE, '1\0\0\0\x04'],
  ['BindComplete', BIND_COMPLETE, '2\0\0\0\x04'],
  ['CloseComplete', CLOSE_COMPLETE, '3\0\0\0\x04'],
  ['NoData', NO_DATA, 'n\0\0\0\x04'],
  ['EmptyQueryResponse', EMPTY_QUERY, 'I\0\0\0\x04'],
  ['ReadyForQuery', READY_IDLE, 'Z\0\0\0\x05I'],
  ['AuthenticationOk', AUTHENTICATION_OK, 'R\0\0\0\x08\0\0\0\0'],
  ['AuthenticationCleartextPassword', AUTHENTICATION_CLEARTEXT, 'R\0\0\0\x08\0\0\0\x03'],
  ['AuthenticationMD5Password', encodeAuthenticationMd5(Buffer.from('salt')), 'R\0\0\0\x0c\0\0\0\x05salt'],
  ['AuthenticationSASL', encodeAuthenticationSasl(['A', 'B']), 'R\0\0\0\x0d\0\0\0\x0aA\0B\0\0'],
  ['AuthenticationSASLContinue', encodeAuthenticationSaslContinue(Buffer.from('r=x')), 'R\0\0\0\x0b\0\0\0\x0br=x'],
  ['AuthenticationSASLFinal', encodeAuthenticationSaslFinal(Buffer.from('v=y')), 'R\0\0\0\x0b\0\0\0\x0cv=y'],
  ['ParameterStatus', inUtf8('is', 'on'), 'S\0\0\0\x0ais\0on\0'],
  ['BackendKeyData', encodeBackendKeyData(7, Buffer.from('key!')), 'K\0\0\0\x0c\0\0\0\x07key!'],
  ['NegotiateProtocolVersion', encodeNegotiateProtocolVersion(['_pq_.a']), 'v\0\0\0\x13\0\x03\0\0\0\0\0\x01_pq_.a\0'],
  ['CommandComplete', encodeCommandComplete('SET'), 'C\0\0\0\x08SET\0'],
  ['ParameterDescription', encodeParameterDescription([23]), 't\0\0\0\x0a\0\x01\0\0\0\x17'],
] as const)
  test(`${name} has the bytes that the protocol specifies`, () => {
    expect(bytes.toString('latin1')).toBe(expected)
  })

test('a ParameterStatus is decoded wherever it is cut', () => {
  for (const pieces of everySplit(inUtf8('TimeZone', 'Europe/Zürich'))) {
    const seen: unknown[] = []
    const frames = new Frames(1000)
    for (const piece of pieces)
      readShared(piece, (shared, from, to) =>
        frames.read(shared, from, to, needsTable({ S: WHOLE }), {
          pass: () => expect.unreachable(),
          frame: (_type, buffer, start, end) => seen.push(decodeParameterStatus(buffer, start, end)) > 0,
          rest: () => expect.unreachable(),
          refuse: () => expect.unreachable(),
        }),
      )
    expect(seen).toEqual([{ name: 'TimeZone', value: '\0\0Europe/ZÃ¼rich' }])
  }
})

test('any ParameterStatus is decoded at any position in a buffer', () => {
  fc.assert(
    fc.property(someText, someText, (name, value) => {
      const decoded = readShared(inUtf8(name, value), decodeParameterStatus)
      expect(decoded && { ...decoded, value: understand(decoded.value, 'UTF8') }).toEqual({ name, value })
    }),
    { examples: [['', 'a replaced letter: \ufffd']] },
  )
})

test('a ParameterStatus that is not exactly two strings is malformed, whatever bytes surround it', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(0, 0x61), { maxLength: 6 }), (body) => {
      const texts = Buffer.from(body).toString().split('\0')
      const expected = texts.length === 3 && texts[2] === '' ? { name: texts[0], value: texts[1] } : null
      const frame = rawFrame(BACKEND.parameterStatus, Buffer.from(body))
      const crowd = Buffer.concat([Buffer.from('a\0'), frame, Buffer.from('a\0a\0')])
      expect(decodeParameterStatus(frame, 0, frame.length)).toEqual(expected)
      expect(decodeParameterStatus(crowd, 2, 2 + frame.length)).toEqual(expected)
    }),
    { numRuns: 300 },
  )
})

test('a command tag is decoded, and a missing one is empty', () => {
  for (const tag of ['', 'BEGIN', 'INSERT 0 1'])
    expect(readShared(encodeCommandComplete(tag), decodeCommandTag)).toBe(tag)
  expect(readShared(rawFrame(BACKEND.commandComplete, Buffer.alloc(0)), decodeCommandTag)).toBe('')
})

test('the SASL mechanisms of a server are decoded, as far as they can be read if the message is malformed', () => {
  for (const mechanisms of [[], ['SCRAM-SHA-256'], ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256']])
    expect(decodeSaslMechanisms(encodeAuthenticationSasl(mechanisms))).toEqual(mechanisms)
  expect(decodeSaslMechanisms(rawFrame(BACKEND.authentication, Buffer.from('\0\0\0\x0aA\0B')))).toEqual(['A', 'B'])
  expect(decodeSaslMechanisms(rawFrame(BACKEND.authentication, Buffer.from('\0\0')))).toEqual([])
})
