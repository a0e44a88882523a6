import { expect, test } from 'vitest'
import { type Counts, MAX_OPENING, nextMove, type SizeLimits } from '../../../src/pool/sizing.ts'

const QUIET: Counts = {
  waiting: 0,
  longestWaitMs: 0,
  opening: 0,
  soonFree: 0,
  total: 0,
  hasClients: true,
  isCoolingDown: false,
}
const LIMITS: SizeLimits = { size: 20, minSize: 0, reserveSize: 0, reserveTimeoutMs: 5_000 }

const CASES: [promise: string, now: Partial<Counts>, limits: Partial<SizeLimits>, open: number][] = [
  ['nobody waits, so nothing is opened', {}, {}, 0],
  ['each waiting client gets a server opened', { waiting: 3 }, {}, 3],
  ['servers that are being opened count for those who wait', { waiting: 3, opening: 2, total: 2 }, {}, 1],
  ['servers that are free in a moment count too', { waiting: 2, soonFree: 2, total: 2 }, {}, 0],
  ['no more than the pool size', { waiting: 50, total: 18 }, {}, 2],
  ['no more at once than MAX_OPENING', { waiting: 50 }, { size: 100 }, MAX_OPENING],
  ['a size of 0 is no limit', { waiting: 5, total: 500 }, { size: 0 }, 5],
  ['a full pool opens nothing', { waiting: 9, total: 20 }, {}, 0],
  [
    'the reserve is not touched before its time',
    { waiting: 9, total: 20, longestWaitMs: 4_999 },
    { reserveSize: 3 },
    0,
  ],
  ['the reserve is used after its time', { waiting: 9, total: 20, longestWaitMs: 5_000 }, { reserveSize: 3 }, 3],
  ['the minimum is filled one by one', { total: 1 }, { minSize: 4 }, 1],
  ['the minimum waits for what is being opened', { total: 2, opening: 1 }, { minSize: 4 }, 0],
  ['the minimum is for pools with clients', { hasClients: false }, { minSize: 4 }, 0],
  ['the minimum never goes beyond the size', { total: 2 }, { minSize: 4, size: 2 }, 0],
  ['nothing is opened right after a failed login', { waiting: 5, isCoolingDown: true }, {}, 0],
]

for (const [promise, now, limits, open] of CASES)
  test(promise, () => {
    expect(nextMove({ ...QUIET, ...now }, { ...LIMITS, ...limits }).open).toBe(open)
  })

test('a move says when it takes from the reserve', () => {
  const move = nextMove({ ...QUIET, waiting: 1, total: 20, longestWaitMs: 9_000 }, { ...LIMITS, reserveSize: 1 })
  expect(move).toEqual({ open: 1, usesReserve: true, because: 'clients have waited for reserve_pool_timeout' })
})
