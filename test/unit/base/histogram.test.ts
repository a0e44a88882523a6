import { describe, expect, test } from 'vitest'
import { addLengths, BUCKETS_MS, Histogram, lengthsOf, quantileMs, SumOfLengths } from '../../../src/base/histogram.ts'

function of(...lengthsMs: number[]) {
  const histogram = new Histogram()
  for (const ms of lengthsMs) histogram.note(ms)
  return lengthsOf(histogram)
}

describe('a length is counted', () => {
  test.each([
    [0, 0],
    [0.1, 0],
    [0.1001, 1],
    [60_000, BUCKETS_MS.length - 1],
    [60_001, BUCKETS_MS.length],
  ])('%d ms in bucket %i', (ms, bucket) => {
    expect(of(ms).counts.indexOf(1)).toBe(bucket)
  })
})

test('the sum is that of all lengths', () => {
  expect(of(1, 2.5, 100_000).sumMs).toBe(100_003.5)
})

test('a quantile lies in the bucket of the length at that rank', () => {
  const lengths = of(...Array(98).fill(0.15), 40, 40)
  expect(quantileMs(lengths, 0.5)).toBeCloseTo(0.151, 3)
  expect(quantileMs(lengths, 0.99)).toBe(35)
  expect(quantileMs(lengths, 1)).toBe(50)
})

test('there is no quantile without lengths, and beyond the last bucket it is Infinity', () => {
  expect(quantileMs(of(), 0.5)).toBe(null)
  expect(quantileMs(of(90_000), 0.5)).toBe(Infinity)
})

test('the counts of several processes are added up', () => {
  const sum = new SumOfLengths(of(1, 3))
  for (const part of [of(3, 200), of(90_000)]) sum.add(part)
  expect(sum).toMatchObject(of(1, 3, 3, 200, 90_000))
  expect(addLengths(of(1, 3), of(3, 200))).toEqual(of(1, 3, 3, 200))
})
