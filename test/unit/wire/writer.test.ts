import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Writer } from '../../../src/wire/writer.ts'
import { anyText } from '../../support/random-frames.ts'

test('consecutive frames each have their own length', () => {
  const bytes = new Writer().begin('A').byte(1).end().begin().int16(-2).end().begin('B').end().finish()
  expect([...bytes]).toEqual([0x41, 0, 0, 0, 5, 1, 0, 0, 0, 6, 0xff, 0xfe, 0x42, 0, 0, 0, 4])
})

test('everything written comes out in order, however large the buffer grows', () => {
  const parts = fc.array(
    fc.oneof(
      fc.nat(255).map((value) => ({ add: (writer: Writer) => writer.byte(value), bytes: Buffer.of(value) })),
      fc.integer({ min: -0x8000, max: 0x7fff }).map((value) => {
        const bytes = Buffer.alloc(2)
        bytes.writeInt16BE(value)
        return { add: (writer: Writer) => writer.int16(value), bytes }
      }),
      // Unsigned values too, as OIDs are.
      fc.integer({ min: -0x8000_0000, max: 0xffff_ffff }).map((value) => {
        const bytes = Buffer.alloc(4)
        bytes.writeInt32BE(value | 0)
        return { add: (writer: Writer) => writer.int32(value), bytes }
      }),
      anyText.map((value) => ({
        add: (writer: Writer) => writer.text(value),
        bytes: Buffer.concat([Buffer.from(value.replaceAll('\0', '')), Buffer.of(0)]),
      })),
      fc.uint8Array({ maxLength: 400 }).map((value) => ({
        add: (writer: Writer) => writer.bytes(value),
        bytes: Buffer.from(value),
      })),
    ),
    { maxLength: 20 },
  )
  fc.assert(
    fc.property(parts, (written) => {
      const writer = new Writer().begin('X')
      for (const part of written) part.add(writer)
      const bytes = writer.end().finish()
      expect(bytes.readInt32BE(1)).toBe(bytes.length - 1)
      expect(bytes.subarray(5)).toEqual(Buffer.concat(written.map((part) => part.bytes)))
    }),
  )
})

test('an unpaired surrogate is written with the length that was counted for it', () => {
  const bytes = new Writer().begin('X').text('\ud800').text('end').end().finish()
  expect(bytes.toString('utf8', 5)).toBe('\ufffd\0end\0')
})
