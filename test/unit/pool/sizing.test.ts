import { expect, test } from 'vitest'
import { type Counts, MAX_OPENING, serversMissing } from '../../../src/pool/sizing.ts'

const QUIET: Counts = { waiting: 0, opening: 0, soonFree: 0 }

const CASES: [promise: string, now: Partial<Counts>, missing: number][] = [
  ['without waiting clients nothing is opened', {}, 0],
  ['one server is opened per waiting client', { waiting: 3 }, 3],
  ['servers that are being opened count', { waiting: 3, opening: 2 }, 1],
  ['servers that will soon be free count too', { waiting: 2, soonFree: 2 }, 0],
  ['nothing is opened if more servers are coming than clients wait', { waiting: 1, opening: 3 }, 0],
  ['at most MAX_OPENING servers are opened at once', { waiting: 50 }, MAX_OPENING],
  [
    'at most MAX_OPENING servers are opened at once, including those already being opened',
    { waiting: 50, opening: 8 },
    2,
  ],
]

for (const [promise, now, missing] of CASES)
  test(promise, () => {
    expect(serversMissing({ ...QUIET, ...now })).toBe(missing)
  })
