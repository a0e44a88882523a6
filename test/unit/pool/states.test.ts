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

/** A standing of each state. */
const STANDINGS: readonly Standing[] = [OPEN, PAUSING, whenEmptied(PAUSING), RETIRING, whenEmptied(RETIRING)]

/** Returns the next state of each standing; null if the event changes nothing. */
function statesAfter(event: (now: Standing) => Standing): (PoolState | null)[] {
  return STANDINGS.map((now) => {
    const next = event(now)
    return next === now ? null : next.state
  })
}

test('PAUSE, RESUME, the end of a pool and of its last server each lead on from some states, and change nothing in the others', () => {
  expect(STANDINGS.map(({ state }) => state)).toEqual(['open', 'pausing', 'paused', 'retiring', 'gone'])
  expect(statesAfter(whenPaused)).toEqual(['pausing', null, null, null, null])
  expect(statesAfter(whenResumed)).toEqual([null, 'open', 'open', null, null])
  expect(statesAfter((now) => whenRetired(now, NOTICE))).toEqual(['retiring', 'retiring', 'retiring', null, null])
  expect(statesAfter(whenEmptied)).toEqual([null, 'paused', null, 'gone', null])
})

test('a pool that is paused says why servers are closed, and lets those wait who ask for one', () => {
  for (const paused of [PAUSING, whenEmptied(PAUSING)])
    expect(paused).toMatchObject({ closesBecause: 'pause mode', lastWord: null })
})

test('a pool that has been resumed is as it was', () => {
  expect(whenResumed(PAUSING)).toEqual(OPEN)
})

test('a pool that is retired, though it was paused, has the same last word for servers and for whoever asks, to its end', () => {
  for (const retired of [RETIRING, whenRetired(PAUSING, NOTICE), whenEmptied(RETIRING)])
    expect(retired).toMatchObject({ closesBecause: NOTICE.message, lastWord: NOTICE })
})
