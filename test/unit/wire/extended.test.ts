import { serialize } from 'pg-protocol'
import { describe, expect, test } from 'vitest'
import { PoolerError } from '../../../src/problems.ts'
import { decodeBind, decodeExecute, decodeParse, decodeQuery, decodeTarget } from '../../../src/wire/extended.ts'
import { rawFrame } from '../../support/random-frames.ts'

const FRAMES = {
  Query: { frame: serialize.query('show größe'), decode: decodeQuery, expected: 'show größe' },
  Parse: {
    frame: serialize.parse({ name: 's', text: 'show pools', types: [23, 25] }),
    decode: decodeParse,
    expected: { name: 's', text: 'show pools', parameterTypes: 2 },
  },
  Bind: {
    frame: serialize.bind({ portal: 'p', statement: 's', values: ['one', null, Buffer.of(0)], binary: true }),
    decode: decodeBind,
    expected: { portal: 'p', statement: 's', parameters: 3, formats: ['binary'] },
  },
  'Bind of nothing': {
    frame: serialize.bind({}),
    decode: decodeBind,
    expected: { portal: '', statement: '', parameters: 0, formats: ['text'] },
  },
  Execute: {
    frame: serialize.execute({ portal: 'p', rows: 7 }),
    decode: decodeExecute,
    expected: { portal: 'p', maxRows: 7 },
  },
  'Execute without a limit that is no limit': {
    frame: rawFrame(0x45, Buffer.from([0, 0xff, 0xff, 0xff, 0xff])),
    decode: decodeExecute,
    expected: { portal: '', maxRows: 0 },
  },
  'Describe of a statement': {
    frame: serialize.describe({ type: 'S', name: 's' }),
    decode: (frame: Buffer) => decodeTarget(frame, 'Describe'),
    expected: { kind: 'statement', name: 's' },
  },
  'Close of a portal': {
    frame: serialize.close({ type: 'P', name: '' }),
    decode: (frame: Buffer) => decodeTarget(frame, 'Close'),
    expected: { kind: 'portal', name: '' },
  },
}

function problemOf(decode: (frame: Buffer) => unknown, body: Buffer): string {
  try {
    decode(rawFrame(0x51, body))
    return 'none'
  } catch (problem) {
    if (problem instanceof PoolerError) return problem.kind
    throw problem
  }
}

for (const [name, { frame, decode, expected }] of Object.entries(FRAMES))
  describe(name, () => {
    test('is decoded', () => {
      expect(decode(frame)).toEqual(expected)
    })

    test('is malformed if it is cut short or has a byte too many', () => {
      const body = frame.subarray(5)
      for (let length = 0; length < body.length; length++)
        expect(problemOf(decode, body.subarray(0, length)), `${length} bytes`).toBe('bad-message')
      expect(problemOf(decode, Buffer.concat([body, Buffer.of(0)]))).toBe('bad-message')
    })
  })

test('a Describe of an unknown kind, an unknown format and a negative count are malformed', () => {
  expect(problemOf((frame) => decodeTarget(frame, 'Describe'), Buffer.from('X\0'))).toBe('bad-message')
  expect(problemOf(decodeBind, Buffer.from([0, 0, 0, 0, 0, 0, 0, 1, 0, 2]))).toBe('bad-message')
  expect(problemOf(decodeBind, Buffer.from([0, 0, 0, 0, 0xff, 0xff, 0, 0]))).toBe('bad-message')
})
