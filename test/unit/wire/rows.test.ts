import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PoolerError } from '../../../src/problems.ts'
import { type Cell, decodeDataRow, encodeDataRow, encodeRowDescription, OID } from '../../../src/wire/rows.ts'
import { rawFrame, someText } from '../../support/random-frames.ts'

const someCell: fc.Arbitrary<Cell> = fc.oneof(
  someText,
  fc.constant(null),
  fc.integer(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
)

test('a row is decoded to the texts of its cells', () => {
  fc.assert(
    fc.property(fc.array(someCell, { maxLength: 6 }), (cells) => {
      const bytes = encodeDataRow(cells)
      expect(bytes.readInt32BE(1)).toBe(bytes.length - 1)
      expect(decodeDataRow(bytes)).toEqual(cells.map((cell) => (cell === null ? null : String(cell))))
    }),
  )
})

test('NULL, an empty text and the text null are different', () => {
  expect(decodeDataRow(encodeDataRow([null, '', 'null']))).toEqual([null, '', 'null'])
})

test('a row may outgrow the buffer in which it is built', () => {
  const cells = Array.from({ length: 300 }, (_, index) => 'ä'.repeat(index))
  expect(decodeDataRow(encodeDataRow(cells))).toEqual(cells)
})

test('a row whose length and cells disagree is server-nonsense, and no other error', () => {
  const good = encodeDataRow(['abc', null, ''])
  for (let length = 0; length < good.length; length++)
    expect(problemOf(good.subarray(0, length))).toBe('server-nonsense')
  expect(problemOf(Buffer.concat([good, Buffer.of(0)]))).toBe('server-nonsense')

  const promising = encodeDataRow(['abc'])
  promising.writeInt32BE(0x7fff_ffff, 7)
  expect(problemOf(promising)).toBe('server-nonsense')

  const negative = encodeDataRow([null])
  negative.writeInt32BE(-2, 7)
  expect(problemOf(negative)).toBe('server-nonsense')

  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (body) => {
      expect([null, 'server-nonsense']).toContain(problemOf(rawFrame(0x44, Buffer.from(body))))
    }),
  )
})

test('a row description has the name, type and size of each column, in text format', () => {
  expect(encodeRowDescription([{ name: 'größe', type: 'int8' }])).toEqual(
    rawFrame(
      0x54,
      Buffer.concat([
        Buffer.from([0, 1]),
        Buffer.from('größe\0'),
        Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, OID.int8, 0, 8, 0xff, 0xff, 0xff, 0xff, 0, 0]),
      ]),
    ),
  )
  expect(encodeRowDescription([])).toEqual(rawFrame(0x54, Buffer.from([0, 0])))
})

function problemOf(frame: Buffer): string | null {
  try {
    decodeDataRow(frame)
    return null
  } catch (error) {
    if (error instanceof PoolerError) return error.kind
    throw error
  }
}

test('values are binary in the columns for which that is requested, and the row description says so', () => {
  const columns = [
    { name: 'port', type: 'int4' },
    { name: 'host', type: 'text' },
    { name: 'wait', type: 'int4' },
  ] as const
  const formats = ['binary', 'text'] as const
  const row = encodeDataRow([6432, 'db', 7], columns, formats)
  expect(row.subarray(7).toString('hex')).toBe(`00000004${'00001920'}00000002${'6462'}00000001${'37'}`)
  expect(encodeDataRow([null], columns, formats)).toEqual(encodeDataRow([null]))
  const description = encodeRowDescription(columns, formats)
  const formatOf = (name: string) => description.readInt16BE(description.indexOf(`${name}\0`) + name.length + 17)
  expect(columns.map(({ name }) => formatOf(name))).toEqual([1, 0, 0])
})
