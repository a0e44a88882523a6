/** What pools have counted and timed, by database and user, as plain data; also those that are gone. No number in it ever goes down. */

import { addLengths, type Lengths, lengthsOf } from '../base/histogram.ts'
import { sumOf, type Totals } from './averages.ts'
import { type Counters, DURATION_NAMES, type DurationName, type Durations } from './counters.ts'
import { addErrors, type ErrorCounts, type ErrorTotals } from './error-counts.ts'

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
  const sums = new Map<string, Tally>()
  for (const tally of tallies) {
    const key = keyOf(tally.database, tally.user)
    const before = sums.get(key)
    sums.set(key, before === undefined ? tally : addTally(before, tally))
  }
  return [...sums.values()]
}

function addTally(one: Tally, other: Tally): Tally {
  return {
    ...one,
    totals: sumOf([one.totals, other.totals]),
    durations: byDuration((name) => addLengths(one.durations[name], other.durations[name])),
    errors: addErrors(one.errors, other.errors),
  }
}

function byDuration(lengths: (name: DurationName) => Lengths): Record<DurationName, Lengths> {
  return Object.fromEntries(DURATION_NAMES.map((name) => [name, lengths(name)])) as Record<DurationName, Lengths>
}

/** Of a pair, for maps. */
export function keyOf(database: string, user: string): string {
  return `${database}\0${user}`
}
