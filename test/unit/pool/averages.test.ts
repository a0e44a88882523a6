import { describe, expect, test } from 'vitest'
import { averagesOf, Periods, sumOf, type Totals } from '../../../src/pool/averages.ts'
import { Counters } from '../../../src/pool/counters.ts'

function totals(some: Partial<Totals>): Totals {
  return { ...new Counters().copy(), ...some } as Totals
}

describe('averages', () => {
  test('averages of counts and bytes are per second, rounded down', () => {
    const { transactions, queries, received, sent, binds, clientLogins } = averagesOf({
      ms: 2_000,
      totals: totals({ transactions: 5, queries: 7, received: 4_001, sent: 1, binds: 2, clientLogins: 3 }),
    })
    expect({ transactions, queries, received, sent, binds, clientLogins }).toEqual({
      transactions: 2,
      queries: 3,
      received: 2_000,
      sent: 0,
      binds: 1,
      clientLogins: 1,
    })
  })

  test('averages of times are per event: per transaction, per query, per server given to a client', () => {
    const { transactionUs, queryUs, waitUs } = averagesOf({
      ms: 60_000,
      totals: totals({
        transactions: 2,
        transactionUs: 3_001.5,
        queries: 4,
        queryUs: 4_000,
        serverAssignments: 3,
        waitUs: 100,
      }),
    })
    expect({ transactionUs, queryUs, waitUs }).toEqual({ transactionUs: 1_500, queryUs: 1_000, waitUs: 33 })
  })

  test('averages are 0 if no time has passed or nothing was counted', () => {
    for (const ms of [0, 1, 60_000]) expect(averagesOf({ ms, totals: totals({ queryUs: 10 }) })).toEqual(totals({}))
  })

  test('a few events in the first milliseconds do not become thousands per second', () => {
    expect(averagesOf({ ms: 1, totals: totals({ queries: 5 }) }).queries).toBe(5)
  })
})

describe('periods', () => {
  test('until the first period ends, everything since the start counts', () => {
    const periods = new Periods(1_000)
    expect(periods.span('app', 3_000, totals({ queries: 4 }))).toEqual({ ms: 2_000, totals: totals({ queries: 4 }) })
    periods.end(61_000, new Map([['app', totals({ queries: 10 })]]))
    expect(periods.span('app', 62_000, totals({ queries: 12 }))).toEqual({
      ms: 61_000,
      totals: totals({ queries: 12 }),
    })
  })

  test('only what happened since the start of the last complete period counts', () => {
    const periods = new Periods(0)
    periods.end(60_000, new Map([['app', totals({ queries: 10, waitUs: 1.5 })]]))
    periods.end(120_000, new Map([['app', totals({ queries: 30, waitUs: 2.5 })]]))
    expect(periods.span('app', 150_000, totals({ queries: 36, waitUs: 4 }))).toEqual({
      ms: 90_000,
      totals: totals({ queries: 26, waitUs: 2.5 }),
    })
    expect(periods.span('new', 150_000, totals({ queries: 3 })).totals).toEqual(totals({ queries: 3 }))
  })

  test("a database's count does not go below 0 when one of its pools is removed", () => {
    const periods = new Periods(0)
    periods.end(1_000, new Map([['app', totals({ queries: 10 })]]))
    periods.end(2_000, new Map([['app', totals({ queries: 10 })]]))
    expect(periods.span('app', 3_000, totals({ queries: 4 })).totals.queries).toBe(0)
  })

  test('a period keeps the totals it was given, although the counters go on', () => {
    const periods = new Periods(0)
    const counters = new Counters()
    counters.queries = 5
    for (const nowMs of [1_000, 2_000]) periods.end(nowMs, new Map([['app', sumOf([counters])]]))
    counters.queries = 9
    expect(periods.span('app', 3_000, sumOf([counters])).totals.queries).toBe(4)
  })
})
