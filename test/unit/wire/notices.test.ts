import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PoolerError, PROBLEMS, type ProblemKind } from '../../../src/problems.ts'
import { Frames, needsTable, WHOLE } from '../../../src/wire/frames.ts'
import { decodeNotice, encodeError, encodeNotice, isFatal, type Notice } from '../../../src/wire/notices.ts'
import { rawFrame, someText } from '../../support/random-frames.ts'
import { everySplit, readShared } from '../../support/splits.ts'

const SEVERITIES = ['ERROR', 'FATAL', 'PANIC', 'WARNING', 'NOTICE', 'INFO', 'LOG', 'DEBUG'] as const

const someNotice: fc.Arbitrary<Notice> = fc.record({
  severity: fc.constantFrom(...SEVERITIES),
  sqlstate: fc.stringMatching(/^[0-9A-Z]{5}$/),
  message: someText,
  detail: fc.option(someText, { nil: undefined }),
  hint: fc.option(someText, { nil: undefined }),
  routine: fc.option(someText, { nil: undefined }),
})

test('an encoded notice is decoded unchanged at any position in a buffer', () => {
  fc.assert(
    fc.property(someNotice, fc.boolean(), (notice, isError) => {
      const bytes = isError ? encodeError(notice) : encodeNotice(notice)
      expect(bytes.readInt32BE(1)).toBe(bytes.length - 1)
      expect(bytes.toString('latin1', 0, 1)).toBe(isError ? 'E' : 'N')
      expect(readShared(bytes, decodeNotice)).toEqual(notice)
    }),
  )
})

test('an error in place of a Postgres error names the routine by which drivers recognize it', () => {
  expect(readShared(encodeError(new PoolerError('stale-plan')), decodeNotice)).toMatchObject({
    sqlstate: '0A000',
    routine: 'RevalidateCachedQuery',
  })
})

test('an error is decoded wherever it is cut', () => {
  const error: Notice = { severity: 'FATAL', sqlstate: '57P01', message: 'größte Not', detail: 'd', hint: 'h' }
  for (const pieces of everySplit(encodeError(error))) {
    let seen: Notice | null = null
    const frames = new Frames(1000)
    for (const piece of pieces)
      frames.read(piece, 0, piece.length, needsTable({ E: WHOLE }), {
        pass: () => expect.unreachable(),
        frame: (_type, buffer, start, end) => {
          seen = decodeNotice(buffer, start, end)
          return true
        },
        rest: () => expect.unreachable(),
        refuse: () => expect.unreachable(),
      })
    expect(seen).toEqual(error)
  }
})

test('the severity is taken from the field that is never translated, if the server sends it', () => {
  expect(decode('SFEHLER\0VERROR\0C42601\0Mwas?\0\0').severity).toBe('ERROR')
  expect(decode('SPANIC\0C42601\0Mwas?\0\0').severity).toBe('PANIC')
})

test('unknown fields are skipped', () => {
  expect(decode('SERROR\0VERROR\0C42P01\0Mno table\0P15\0Fparse.c\0L12\0Rparse\0?new\0\0')).toEqual({
    severity: 'ERROR',
    sqlstate: '42P01',
    message: 'no table',
    detail: undefined,
    hint: undefined,
    position: '15',
    routine: 'parse',
  })
})

test('an error without fields is still an error', () => {
  const neutral = { severity: 'ERROR', sqlstate: 'XX000', message: '(the server gave no message)' }
  for (const body of ['', '\0', 'M', 'Munfinished', '\0Mbehind the end\0\0'])
    expect(decode(body)).toMatchObject(neutral)
})

test('zero bytes in a message text are removed, so that they cannot end it early', () => {
  const bytes = encodeError({ severity: 'ERROR', sqlstate: '42601', message: 'a\0Cb\0', hint: '\0' })
  expect(decodeNotice(bytes, 0, bytes.length)).toMatchObject({ sqlstate: '42601', message: 'aCb', hint: '' })
})

test('no body makes the decoder fail or read beyond the frame', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30 }), (body) => {
      const frame = rawFrame(0x45, Buffer.from(body))
      const alone = decodeNotice(frame, 0, frame.length)
      const crowd = Buffer.concat([Buffer.from('\0x\0'), frame, Buffer.from('Mother\0COTHER\0\0')])
      expect(decodeNotice(crowd, 3, 3 + frame.length)).toEqual(alone)
    }),
    { numRuns: 300 },
  )
})

test('every problem of the table reaches a client with its severity, SQLSTATE and message', () => {
  for (const kind of Object.keys(PROBLEMS) as ProblemKind[]) {
    const problem = new PoolerError(kind)
    const bytes = encodeError(problem)
    expect(decodeNotice(bytes, 0, bytes.length)).toEqual({
      severity: PROBLEMS[kind].severity,
      sqlstate: PROBLEMS[kind].sqlstate,
      routine: problem.routine,
      message: problem.message,
      hint: problem.hint,
    })
    expect(PROBLEMS[kind].sqlstate).toMatch(/^[0-9A-Z]{5}$/)
  }
})

test('only FATAL and PANIC end the connection', () => {
  expect(SEVERITIES.filter(isFatal)).toEqual(['FATAL', 'PANIC'])
})

function decode(body: string): Notice {
  const frame = rawFrame(0x45, Buffer.from(body))
  return decodeNotice(frame, 0, frame.length)
}
