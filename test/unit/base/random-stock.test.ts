import { expect, test } from 'vitest'
import { RandomStock } from '../../../src/base/random-stock.ts'

test('no byte is given out twice, whatever the sizes', () => {
  const stock = new RandomStock()
  const pieces = Array.from({ length: 3_000 }, (_, index) => stock.take(8 + (index % 5)))
  expect(pieces.every((piece, index) => piece.length === 8 + (index % 5))).toBe(true)
  expect(new Set(pieces.map((piece) => piece.toString('hex'))).size).toBe(pieces.length)
  // Writing into one piece changes no other.
  const before = pieces.map((piece) => piece.toString('hex'))
  pieces[10]?.fill(0)
  expect(pieces.filter((piece, index) => piece.toString('hex') !== before[index])).toEqual([pieces[10]])
})

test('a piece larger than the stock can be taken too', () => {
  const stock = new RandomStock()
  stock.take(4_000)
  expect(stock.take(10_000).length).toBe(10_000)
  expect(stock.take(8).length).toBe(8)
})
