import { expect, test } from 'vitest'
import { complete, splitWatch } from '../../../../src/cli/console/prompt.ts'

test('Tab completes commands, and what may follow SHOW', () => {
  expect(complete('rel')).toEqual([['RELOAD'], 'rel'])
  expect(complete('show stats_')).toEqual([['STATS_TOTALS', 'STATS_AVERAGES'], 'stats_'])
  expect(complete('SHOW h')[0]).toEqual(['HELP'])
  expect(complete('nothing')[0]).toEqual([])
})

test('\\watch repeats what stands before it', () => {
  expect(splitWatch('show pools')).toEqual(['show pools', null])
  expect(splitWatch('show pools \\watch')).toEqual(['show pools', 2_000])
  expect(splitWatch(' show pools; \\watch 0.5 ')).toEqual(['show pools', 500])
  expect(splitWatch('\\watch')).toEqual(['\\watch', null])
  // Longer than a timer takes, which would be over at once.
  expect(splitWatch('show pools \\watch 9999999')).toEqual(['show pools', 2 ** 31 - 1])
})
