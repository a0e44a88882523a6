import { expect, test } from 'vitest'
import {
  OPEN,
  type PoolState,
  type Standing,
  whenEmptied,
  whenPaused,
  whenResumed,
  whenRetired,
} from '../../../src/pool/states.ts'
import { PoolerError } from '../../../src/problems.ts'

const NOTICE = new PoolerError('database-removed')
const PAUSING = whenPaused(OPEN)
const RETIRING = whenRetired(OPEN, NOTICE)

/** One standing per state. */
const STANDINGS: readonly Standing[] = [OPEN, PAUSING, whenEmptied(PAUSING), RETIRING, whenEmptied(RETIRING)]

/** Returns the next state of each standing; null if the event changes nothing. */
function statesAfter(event: (now: Standing) => Standing): (PoolState | null)[] {
  return STANDINGS.map((now) => {
    const next = event(now)
    return next === now ? null : next.state
  })
}

test('PAUSE, RESUME, retiring and losing the last server move a pool only from the states where they apply', () => {
  expect(STANDINGS.map(({ state }) => state)).toEqual(['open', 'pausing', 'paused', 'retiring', 'gone'])
  expect(statesAfter(whenPaused)).toEqual(['pausing', null, null, null, null])
  expect(statesAfter(whenResumed)).toEqual([null, 'open', 'open', null, null])
  expect(statesAfter((now) => whenRetired(now, NOTICE))).toEqual(['retiring', 'retiring', 'retiring', null, null])
  expect(statesAfter(whenEmptied)).toEqual([null, 'paused', null, 'gone', null])
})

test('a paused pool gives pause mode as the reason for closing servers and lets new clients wait', () => {
  for (const paused of [PAUSING, whenEmptied(PAUSING)])
    expect(paused).toMatchObject({ closesBecause: 'pause mode', lastWord: null })
})

test('a pool that has been resumed is in the same state as a new one', () => {
  expect(whenResumed(PAUSING)).toEqual(OPEN)
})

test('a retired pool gives servers and clients the same notice until it is gone, even if it was paused', () => {
  for (const retired of [RETIRING, whenRetired(PAUSING, NOTICE), whenEmptied(RETIRING)])
    expect(retired).toMatchObject({ closesBecause: NOTICE.message, lastWord: NOTICE })
})
