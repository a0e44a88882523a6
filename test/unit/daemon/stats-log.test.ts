import { expect, test } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import { createLog } from '../../../src/base/log.ts'
import { StatsLog, statsLine } from '../../../src/daemon/stats-log.ts'
import type { Span } from '../../../src/pool/averages.ts'
import { Counters } from '../../../src/pool/counters.ts'

const SPAN: Span = {
  ms: 2_000,
  totals: Object.assign(new Counters(), {
    transactions: 4,
    queries: 10,
    clientParses: 2,
    serverParses: 4,
    binds: 6,
    clientLogins: 8,
    received: 2_048,
    sent: 4_096,
    transactionUs: 400,
    queryUs: 70,
    serverAssignments: 2,
    waitUs: 18,
  }),
}

test('the stats line has PgBouncer’s format', () => {
  expect(statsLine(SPAN)).toBe(
    'stats: 2 xacts/s, 5 queries/s, 1 client parses/s, 2 server parses/s, 3 binds/s, 4 client logins/s, ' +
      'in 1024 B/s, out 2048 B/s, xact 100 us, query 7 us, wait 9 us',
  )
})

function start(options: { isLogged?: boolean; endPeriod?: () => Promise<Span> } = {}) {
  const clock = new ManualClock()
  const lines: string[] = []
  const ended: number[] = []
  const log = createLog({ format: 'text', level: 'info', wallMs: () => 0, write: (line) => lines.push(line) })
  const statsLog = new StatsLog({
    clock,
    log,
    periodMs: () => 60_000,
    isLogged: () => options.isLogged ?? true,
    endPeriod: () => {
      ended.push(clock.nowMs)
      return options.endPeriod?.() ?? SPAN
    },
  })
  const startedMs = clock.nowMs
  return {
    lines,
    sweepAfter(ms: number) {
      clock.advance(ms)
      statsLog.sweep()
    },
    endedAfterMs: () => ended.map((ms) => ms - startedMs),
  }
}

test('one line is logged per period, and late sweeps do not shift the periods', () => {
  const { lines, sweepAfter, endedAfterMs } = start()
  sweepAfter(59_999)
  expect(lines).toEqual([])
  sweepAfter(81)
  sweepAfter(100)
  sweepAfter(59_820)
  expect(endedAfterMs()).toEqual([60_080, 120_000])
  expect(lines).toHaveLength(2)
})

test('after the process was stalled one line is logged, not one for each missed period', () => {
  const { sweepAfter, endedAfterMs } = start()
  sweepAfter(600_000)
  sweepAfter(100)
  sweepAfter(59_900)
  expect(endedAfterMs()).toEqual([600_000, 660_000])
})

test('periods end even if the stats line is turned off', () => {
  const { lines, sweepAfter, endedAfterMs } = start({ isLogged: false })
  sweepAfter(60_000)
  expect(lines).toEqual([])
  expect(endedAfterMs()).toEqual([60_000])
})

test('if the statistics cannot be obtained, the error is logged in place of the stats line', async () => {
  const { lines, sweepAfter } = start({ endPeriod: () => Promise.reject(new Error('out of memory')) })
  sweepAfter(60_000)
  await Promise.resolve()
  expect(lines).toEqual([expect.stringContaining('ERROR no statistics: out of memory')])
})
