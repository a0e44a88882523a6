/** What pools have counted and timed, by database and user, as plain data; also those that are gone. No number in it ever goes down. */

import { type Lengths, lengthsOf, SumOfLengths } from '../base/histogram.ts'
import { type CounterName, sumOf, type Totals } from './averages.ts'
import { COUNTER_NAMES, type Counters, DURATION_NAMES, type DurationName, type Durations } from './counters.ts'
import type { ErrorCounts, ErrorTotals } from './error-counts.ts'

export interface Tally {
  readonly database: string
  readonly user: string
  readonly totals: Totals
  readonly durations: Readonly<Record<DurationName, Lengths>>
  readonly errors: ErrorTotals
}

/** Whoever counts. */
export interface Counting {
  readonly database: string
  readonly user: string
  readonly counters: Counters
  readonly durations: Durations
  readonly errors: ErrorCounts
}

/** Under which all are counted together that have come too late for a name of their own. */
export const OTHER = 'other'

/** Names of databases and users are chosen by strangers: only the first so many are told apart, for as long as the process lives. */
export class TallyNames {
  readonly #max: number
  readonly #named = new Set<string>()

  constructor(max: number) {
    this.#max = max
  }

  /** Whether this pair has a name of its own; once it has, or has not, that stays so. */
  has(database: string, user: string): boolean {
    const key = keyOf(database, user)
    if (this.#named.has(key)) return true
    if (this.#named.size >= this.#max) return false
    this.#named.add(key)
    return true
  }

  of<Row extends { readonly database: string; readonly user: string }>(row: Row): Row {
    return this.has(row.database, row.user) ? row : { ...row, database: OTHER, user: OTHER }
  }
}

/** Those of one process. */
export class Tallies {
  readonly names: TallyNames
  #past: readonly Tally[] = []

  constructor(names: TallyNames) {
    this.names = names
  }

  /** It counts no more, or not for this user. */
  ended(counting: Counting): void {
    this.add([tallyOf(counting)])
  }

  /** Whoever has counted these is gone. */
  add(tallies: readonly Tally[]): void {
    this.#past = this.with(tallies)
  }

  /** What is gone, and what is there. */
  with(now: readonly Tally[]): readonly Tally[] {
    return sumTallies([...this.#past, ...now.map((tally) => this.names.of(tally))])
  }
}

export function tallyOf({ database, user, counters, durations, errors }: Counting): Tally {
  return {
    ...{ database, user },
    totals: sumOf([counters]),
    durations: byDuration((name) => lengthsOf(durations[name])),
    errors: errors.totals(),
  }
}

/** One for each database and user. */
export function sumTallies(tallies: readonly Tally[]): Tally[] {
  const sums = new Map<string, Tally | SumOfTallies>()
  for (const tally of tallies) {
    const key = keyOf(tally.database, tally.user)
    const before = sums.get(key)
    if (before === undefined) sums.set(key, tally)
    else if (before instanceof SumOfTallies) before.add(tally)
    // Most are alone under their name, and many are `other`.
    else sums.set(key, new SumOfTallies(before, tally))
  }
  return Array.from(sums.values(), (sum) => (sum instanceof SumOfTallies ? sum.total : sum))
}

/** Of many that others are added to, none is made anew. */
class SumOfTallies {
  readonly #first: Tally
  readonly #totals: Record<CounterName, number>
  readonly #durations: Readonly<Record<DurationName, SumOfLengths>>
  readonly #errors: Record<string, number>

  constructor(first: Tally, second: Tally) {
    this.#first = first
    this.#totals = { ...first.totals }
    this.#durations = byDuration((name) => new SumOfLengths(first.durations[name]))
    this.#errors = { ...first.errors }
    this.add(second)
  }

  add({ totals, durations, errors }: Tally): void {
    for (const name of COUNTER_NAMES) this.#totals[name] += totals[name]
    for (const name of DURATION_NAMES) this.#durations[name].add(durations[name])
    for (const [key, count] of Object.entries(errors)) this.#errors[key] = (this.#errors[key] ?? 0) + count
  }

  get total(): Tally {
    const { database, user } = this.#first
    // Plain data: it may go to another process.
    const durations = byDuration((name) => ({
      counts: this.#durations[name].counts,
      sumMs: this.#durations[name].sumMs,
    }))
    return { database, user, totals: this.#totals, durations, errors: this.#errors }
  }
}

function byDuration<T>(partOf: (name: DurationName) => T): Record<DurationName, T> {
  const values: Partial<Record<DurationName, T>> = {}
  for (const name of DURATION_NAMES) values[name] = partOf(name)
  return values as Record<DurationName, T>
}

/** Of a pair, for maps. */
export function keyOf(database: string, user: string): string {
  return `${database}\0${user}`
}
