import { expect, test } from 'vitest'
import { readFlags } from '../../../bench/flags.ts'

test('without flags everything is measured at length', () => {
  const { effort, scenarios, node } = readFlags([])
  expect(effort).toEqual({ isQuick: false, repeats: 5, seconds: 5 })
  expect(scenarios.length).toBeGreaterThan(5)
  expect(node).toBe(process.execPath)
})

test('a quick run is short, unless it is told how long', () => {
  expect(readFlags(['--quick']).effort).toEqual({ isQuick: true, repeats: 1, seconds: 2 })
  expect(readFlags(['--quick', '--repeats', '3']).effort).toEqual({ isQuick: true, repeats: 3, seconds: 2 })
})

test('scenarios are chosen by name', () => {
  const { scenarios } = readFlags(['--only', 'idle', '--only', 'simple'])
  expect(scenarios.map(({ name }) => name)).toEqual(['simple', 'idle'])
})

test.each([
  [['--seconds', '1.5'], '--seconds takes a whole number above 0, not 1.5'],
  [['--repeats', '0'], '--repeats takes a whole number above 0, not 0'],
  [['--only', 'simpel'], 'there is no scenario simpel; there are simple, extended'],
])('%s is answered with a sentence', (args, sentence) => {
  expect(() => readFlags(args)).toThrow(sentence)
})
