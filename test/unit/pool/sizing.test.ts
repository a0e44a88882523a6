import { expect, test } from 'vitest'
import { type Counts, MAX_OPENING, serversMissing } from '../../../src/pool/sizing.ts'

const QUIET: Counts = { waiting: 0, opening: 0, soonFree: 0 }

const CASES: [promise: string, now: Partial<Counts>, missing: number][] = [
  ['nobody waits, so nothing is opened', {}, 0],
  ['each waiting client gets a server opened', { waiting: 3 }, 3],
  ['servers that are being opened count for those who wait', { waiting: 3, opening: 2 }, 1],
  ['servers that are free in a moment count too', { waiting: 2, soonFree: 2 }, 0],
  ['more servers are coming than clients wait', { waiting: 1, opening: 3 }, 0],
  ['no more at once than MAX_OPENING', { waiting: 50 }, MAX_OPENING],
  ['no more at once than MAX_OPENING, those included that are being opened', { waiting: 50, opening: 8 }, 2],
]

for (const [promise, now, missing] of CASES)
  test(promise, () => {
    expect(serversMissing({ ...QUIET, ...now })).toBe(missing)
  })
