import { expect, test } from 'vitest'
import { copyForWrite, keepLastCopy, SCRATCH_BYTES } from '../../../src/net/write-scratch.ts'
import { pattern } from './rigs.ts'

test('a copy that the kernel took entirely is overwritten by the next one', () => {
  const first = copyForWrite(pattern(100), 0, 100)
  const second = copyForWrite(pattern(100), 0, 100)
  expect(second.buffer).toBe(first.buffer)
  expect(second.byteOffset).toBe(first.byteOffset)
})

test('a copy that is kept is never overwritten', () => {
  const kept = Array.from({ length: 500 }, (_, index) => {
    const copy = copyForWrite(pattern(1_000, index), 0, 1_000)
    keepLastCopy(copy)
    copyForWrite(pattern(SCRATCH_BYTES, index + 1), 0, 400)
    return copy
  })
  for (const [index, copy] of kept.entries()) expect(copy.equals(pattern(1_000, index))).toBe(true)
})

test('many small kept copies share memory', () => {
  const memories = new Set<ArrayBufferLike>()
  for (let count = 0; count < 1_000; count++) {
    const copy = copyForWrite(pattern(100), 0, 100)
    keepLastCopy(copy)
    memories.add(copy.buffer)
  }
  expect(memories.size).toBeLessThanOrEqual(3)
})

test('a copy is never longer than SCRATCH_BYTES', () => {
  const long = pattern(SCRATCH_BYTES * 2)
  expect(copyForWrite(long, 4, long.length).equals(long.subarray(4, 4 + SCRATCH_BYTES))).toBe(true)
})
