import { expect, test } from 'vitest'
import { type Circumstances, type Health, healthOf, mergeCircumstances } from '../../../src/workers/health.ts'

const FINE: Circumstances = { isStarting: false, isEnding: false, isPaused: false, supplied: 1, cutOff: 0 }

const CASES: readonly (readonly [string, Partial<Circumstances>, Health])[] = [
  ['a fleet with servers', {}, 'ready'],
  ['a fleet that has not opened a server yet', { supplied: 0 }, 'ready'],
  ['a fleet with one of two pools cut off', { cutOff: 1 }, 'ready'],
  ['a fleet with its only pool cut off', { supplied: 0, cutOff: 1 }, 'unreachable'],
  ['a paused fleet, whatever else holds', { isPaused: true, supplied: 0, cutOff: 1 }, 'paused'],
  ['a fleet that is not listening yet', { isStarting: true }, 'starting'],
  ['a fleet that is ending, whatever else holds', { isEnding: true, isStarting: true, isPaused: true }, 'draining'],
]

test.each(CASES)('%s (%j) is %s', (_, circumstances, health) => {
  expect(healthOf({ ...FINE, ...circumstances })).toBe(health)
})

const PARTS: readonly (readonly [string, readonly Partial<Circumstances>[], Health])[] = [
  ['one starting, one serving', [{ isStarting: true, supplied: 0 }, {}], 'ready'],
  ['one being replaced, its successor serving', [{ isEnding: true }, { supplied: 0 }], 'ready'],
  ['one cut off, one without attempts', [{ supplied: 0, cutOff: 1 }, { supplied: 0 }], 'unreachable'],
  ['one cut off, one with servers', [{ supplied: 0, cutOff: 1 }, {}], 'ready'],
  ['one paused, one not yet', [{ isPaused: true }, {}], 'ready'],
  ['all paused or ending', [{ isPaused: true }, { isPaused: true }, { isEnding: true }], 'paused'],
  ['all ending', [{ isEnding: true }, { isEnding: true, isPaused: true }], 'draining'],
  ['none', [], 'starting'],
]

test.each(PARTS)('several processes: %s (%j) are %s', (_, parts, health) => {
  expect(healthOf(mergeCircumstances(parts.map((part) => ({ ...FINE, ...part }))))).toBe(health)
})
