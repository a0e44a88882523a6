import { describe, expect, test } from 'vitest'
import { equalsBytes, hashBytes, sampleBytes } from '../../../src/base/bytes.ts'

const LENGTHS = [0, 1, 3, 4, 7, 8, 9, 63, 64, 65, 200, 5_000]

describe.each([
  ['hashBytes', hashBytes],
  ['sampleBytes', sampleBytes],
])('%s', (_, hash) => {
  test.each(LENGTHS)('gives the same for the same %d bytes at any position', (length) => {
    const bytes = Buffer.alloc(length, 'select ')
    const elsewhere = Buffer.concat([Buffer.from('xyz'), bytes, Buffer.from('!')])
    expect(hash(elsewhere, 3, 3 + length)).toBe(hash(bytes, 0, length))
  })

  test('is small enough that a Map needs no object for it as a key', () => {
    for (let round = 0; round < 1_000; round++) {
      const value = hash(Buffer.from(`select ${round}`.repeat(10)), 0, 80)
      expect(value).toBeGreaterThanOrEqual(0)
      expect(value).toBeLessThan(2 ** 29)
    }
  })

  test('spreads texts that differ only in a number', () => {
    const slots = new Set<number>()
    for (let id = 0; id < 1_000; id++) {
      const text = Buffer.from(`select ${id + 1_000}`)
      slots.add(hash(text, 0, text.length) & 1023)
    }
    // Chance would give about 640.
    expect(slots.size).toBeGreaterThan(500)
  })
})

test('hashBytes depends on every byte', () => {
  const bytes = Buffer.alloc(301, 'a')
  const hashes = new Set([hashBytes(bytes, 0, 301)])
  for (let at = 0; at < 301; at++) {
    bytes[at] = 0x62
    hashes.add(hashBytes(bytes, 0, 301))
    bytes[at] = 0x61
  }
  // Two hashes may collide by chance.
  expect(hashes.size).toBeGreaterThan(299)
})

test.each(LENGTHS)('equalsBytes compares all of %d bytes and their number', (length) => {
  const bytes = Buffer.alloc(length, 'select ')
  const elsewhere = Buffer.concat([Buffer.from('xyz'), bytes, Buffer.from('!')])
  expect(equalsBytes(elsewhere, 3, 3 + length, bytes)).toBe(true)
  expect(equalsBytes(elsewhere, 3, 4 + length, bytes)).toBe(false)
  if (length === 0) return
  expect(equalsBytes(elsewhere, 3, 2 + length, bytes)).toBe(false)
  for (const at of [0, length >> 1, length - 1]) {
    const other = Buffer.from(bytes)
    other[at] = 0xff
    expect(equalsBytes(elsewhere, 3, 3 + length, other)).toBe(false)
  }
})
