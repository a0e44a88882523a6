/** Averages as PgBouncer computes them: times per event, everything else per second. */

import { COUNTER_NAMES } from './counters.ts'

export type CounterName = (typeof COUNTER_NAMES)[number]

export type Totals = Readonly<Record<CounterName, number>>

/** What was counted in a length of time. */
export interface Span {
  readonly ms: number
  readonly totals: Totals
}

/** Counters of times, each with the counter of events that it is divided by. */
const EVENTS: { readonly [Name in CounterName]?: CounterName } = {
  transactionUs: 'transactions',
  queryUs: 'queries',
  waitUs: 'serverAssignments',
}

/** Averages are taken over at least this time. Shortly after the start, a handful of queries would otherwise look like thousands per second. */
const LEAST_MS = 1000

/** Returns whole numbers, rounded down as in PgBouncer. */
export function averagesOf({ ms, totals }: Span): Totals {
  const seconds = Math.max(ms, LEAST_MS) / 1000
  return everyCounter((name) => {
    const event = EVENTS[name]
    if (event === undefined) return Math.floor(totals[name] / seconds)
    return totals[event] === 0 ? 0 : Math.floor(totals[name] / totals[event])
  })
}

export function sumOf(parts: Iterable<Totals>): Totals {
  const sum = { ...NOTHING }
  for (const totals of parts) for (const name of COUNTER_NAMES) sum[name] += totals[name]
  return sum
}

interface Sample {
  readonly atMs: number
  readonly totals: ReadonlyMap<string, Totals>
}

/** The totals of each database at the beginnings of the last two periods. */
export class Periods {
  #older: Sample
  #newer: Sample

  constructor(nowMs: number) {
    this.#older = { atMs: nowMs, totals: new Map() }
    this.#newer = this.#older
  }

  /** Ends a period and begins the next one. From now on `span` covers the period that has ended and the one that has begun. */
  end(nowMs: number, totals: ReadonlyMap<string, Totals>): void {
    this.#older = this.#newer
    this.#newer = { atMs: nowMs, totals }
  }

  /** Returns what a database has counted since the last complete period began: over one to two periods, less shortly after the start. */
  span(database: string, nowMs: number, totals: Totals): Span {
    const before = this.#older.totals.get(database) ?? NOTHING
    return {
      ms: nowMs - this.#older.atMs,
      // The totals of a database that was removed and added again start from 0.
      totals: everyCounter((name) => Math.max(totals[name] - before[name], 0)),
    }
  }
}

function everyCounter(value: (name: CounterName) => number): Record<CounterName, number> {
  return Object.fromEntries(COUNTER_NAMES.map((name) => [name, value(name)])) as Record<CounterName, number>
}

const NOTHING = everyCounter(() => 0)
