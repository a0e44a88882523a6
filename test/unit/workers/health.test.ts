import { expect, test } from 'vitest'
import { type Circumstances, type Health, healthOf, mergeCircumstances } from '../../../src/workers/health.ts'

const FINE: Circumstances = { isStarting: false, isEnding: false, isPaused: false, supplied: 1, cutOff: 0 }

const CASES: readonly (readonly [string, Partial<Circumstances>, Health])[] = [
  ['servers, and nothing in the way', {}, 'ready'],
  ['nothing tried yet', { supplied: 0 }, 'ready'],
  ['one of two pools cut off', { cutOff: 1 }, 'ready'],
  ['the only pool cut off', { supplied: 0, cutOff: 1 }, 'unreachable'],
  ['a pause, whatever else', { isPaused: true, supplied: 0, cutOff: 1 }, 'paused'],
  ['not listening yet', { isStarting: true }, 'starting'],
  ['the end, whatever else', { isEnding: true, isStarting: true, isPaused: true }, 'draining'],
]

test.each(CASES)('%s (%j) is %s', (_, circumstances, health) => {
  expect(healthOf({ ...FINE, ...circumstances })).toBe(health)
})

const PARTS: readonly (readonly [string, readonly Partial<Circumstances>[], Health])[] = [
  ['one that starts, and one that serves', [{ isStarting: true, supplied: 0 }, {}], 'ready'],
  ['one that is replaced, and its successor', [{ isEnding: true }, { supplied: 0 }], 'ready'],
  ['one that has failed, and one that has not tried', [{ supplied: 0, cutOff: 1 }, { supplied: 0 }], 'unreachable'],
  ['one that has failed, and one that has servers', [{ supplied: 0, cutOff: 1 }, {}], 'ready'],
  ['one that has not heard of the pause', [{ isPaused: true }, {}], 'ready'],
  ['a pause', [{ isPaused: true }, { isPaused: true }, { isEnding: true }], 'paused'],
  ['all that end', [{ isEnding: true }, { isEnding: true, isPaused: true }], 'draining'],
  ['none', [], 'starting'],
]

test.each(PARTS)('several processes: %s (%j) are %s', (_, parts, health) => {
  expect(healthOf(mergeCircumstances(parts.map((part) => ({ ...FINE, ...part }))))).toBe(health)
})
