import { describe, expect, test } from 'vitest'
import { median, percentile, slope } from '../../../bench/statistics.ts'

describe('the median', () => {
  test('is the middle value of an odd number of values, in any order', () => {
    expect(median([9, 1, 5])).toBe(5)
  })

  test('is halfway between the two middle values of an even number', () => {
    expect(median([4, 1, 3, 100])).toBe(3.5)
  })

  test('of no values is NaN', () => {
    expect(median([])).toBeNaN()
  })

  test('does not reorder its input', () => {
    const values = [3, 1, 2]
    median(values)
    expect(values).toEqual([3, 1, 2])
  })
})

describe('a percentile', () => {
  const hundred = Float64Array.from({ length: 100 }, (_, index) => index + 1)

  test.each([
    [0.5, 50],
    [0.95, 95],
    [0.99, 99],
    [1, 100],
    [0, 1],
  ])('of share %d is a measured value', (share, expected) => {
    expect(percentile(hundred, share)).toBe(expected)
  })

  test('of few values is the largest one if the share is high', () => {
    expect(percentile([1, 2, 3], 0.99)).toBe(3)
  })

  test('of no values is NaN', () => {
    expect(percentile([], 0.5)).toBeNaN()
  })
})

describe('the slope', () => {
  test('of points on a line is that of the line', () => {
    expect(slope([0, 10, 20, 40].map((x) => ({ x, y: 7 - 0.5 * x })))).toBeCloseTo(-0.5)
  })

  test('of a zigzag is 0', () => {
    const points = [0, 1, 2, 3, 4, 5, 6].map((x) => ({ x, y: x % 2 }))
    expect(slope(points)).toBeCloseTo(0)
  })
})
