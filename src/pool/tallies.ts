/** What pools have counted and timed, by database and user, as plain data. Pools that are gone are included, so that no number ever goes down. */

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

/** What a tally is taken from: a pool under the name of one user. */
export interface Counting {
  readonly database: string
  readonly user: string
  readonly counters: Counters
  readonly durations: Durations
  readonly errors: ErrorCounts
}

interface Named {
  readonly database: string
  readonly user: string
}

/** The name of database and user under which all pairs are counted that exceed the limit of `TallyNames`. */
export const OTHER = 'other'

const OTHERS = keyOf(OTHER, OTHER)

export function asOther<Row extends Named>(row: Row): Row {
  return { ...row, database: OTHER, user: OTHER }
}

/** Strangers choose the names of databases and users, so only the first `max` pairs are counted separately, as long as the process lives. */
export class TallyNames {
  readonly #max: number
  readonly #named = new Set<string>()

  constructor(max: number) {
    this.#max = max
  }

  /** Whether this pair is counted under its own name, from now on in any case. The answer for a pair never changes. */
  has(database: string, user: string): boolean {
    const key = keyOf(database, user)
    if (this.#named.has(key)) return true
    if (key === OTHERS) return true
    if (this.#named.size >= this.#max) return false
    this.#named.add(key)
    return true
  }

  of<Row extends Named>(row: Row): Row {
    return this.has(row.database, row.user) ? row : asOther(row)
  }

  /** Does the same, but gives no name to a pair that has none yet. */
  ifKnown<Row extends Named>(row: Row): Row {
    return this.knows(row) ? row : asOther(row)
  }

  knows({ database, user }: Named): boolean {
    return this.#named.has(keyOf(database, user))
  }
}

/** Sums up the tallies of pools that exist and of pools that are gone. */
export class Tallies {
  readonly names: TallyNames
  #past: readonly Tally[] = []

  constructor(names: TallyNames) {
    this.names = names
  }

  /** Keeps what was counted by a pool that is gone, or that now counts under another user. */
  ended(counting: Counting): void {
    this.add([tallyOf(counting)])
  }

  /** Keeps tallies of pools, or of a whole process, that are gone. */
  add(tallies: readonly Tally[]): void {
    this.#past = this.with(tallies)
  }

  /** Returns the kept tallies together with `now`, one for each name. */
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

/** Returns one tally for each database and user. */
export function sumTallies(tallies: readonly Tally[]): Tally[] {
  const sums = new Map<string, Tally | SumOfTallies>()
  for (const tally of tallies) {
    const key = keyOf(tally.database, tally.user)
    const before = sums.get(key)
    if (before === undefined) sums.set(key, tally)
    else if (before instanceof SumOfTallies) before.add(tally)
    // Most names have a single tally, but `other` may have very many.
    else sums.set(key, new SumOfTallies(before, tally))
  }
  return Array.from(sums.values(), (sum) => (sum instanceof SumOfTallies ? sum.total : sum))
}

/** Adds up in place: a sum of many tallies does not create a new object for each. */
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

/** The key of a pair, for maps. */
export function keyOf(database: string, user: string): string {
  return `${database}\0${user}`
}
