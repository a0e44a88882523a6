/** Compares the cost of a transaction with its cost when the figures were last committed. Pure. */

import type { Manner } from './build.ts'
import { type Measure, medianOf, type Runs } from './scenario.ts'

/**
 * In order of preference. PgBouncer is not used as a measure here, because it runs at another moment. On a busy machine, the CPU time of the
 * same build was between 1.10 and 1.42 times PgBouncer's, but between 0.34 and 0.37 times PostgreSQL's, which was measured in the very same run.
 */
const MEASURES = {
  instructions: { figure: 'instructions' },
  cpuToPostgres: { figure: 'cpuToPostgres' },
} as const satisfies Record<string, Measure>

/** A comparison with another build in the same run is better than any figure of another day. */
const BESIDE_BASELINE: Measure = { figure: 'cpuToPostgres', against: { target: 'baseline', by: 'ratio' } }

export type GuardMeasure = keyof typeof MEASURES

const MEASURE_NAMES = Object.keys(MEASURES) as readonly GuardMeasure[]

export const MEASURE_TITLES: Readonly<Record<GuardMeasure, string>> = {
  instructions: 'instructions',
  cpuToPostgres: "CPU in times of PostgreSQL's",
}

/** The figures of a scenario; null if one was not measured. */
export type Guarded = Readonly<Record<GuardMeasure, number | null>>

/** The figures of one way to run pgweir. */
export interface SavedRun {
  readonly savedAt: string
  readonly commit: string | null
  readonly versions: Versions
  readonly scenarios: Readonly<Record<string, Guarded>>
}

export interface Versions {
  readonly node: string
  readonly postgres: string
  readonly pgbouncer: string | null
}

/** The content of bench/figures.json. */
export type SavedFigures = Readonly<Record<string, SavedRun>>

/** Figures are compared only with those of the same way to run pgweir, which this key identifies. */
export function mannerKey(nodeMajor: number, { transport, workers, usesIoUring }: Manner): string {
  const carrier = `${transport} transport${usesIoUring ? '' : ' without io_uring'}`
  return `Node ${nodeMajor}, ${carrier}, ${workers === 1 ? 'one worker' : `${workers} workers`}`
}

export function guardedOf(runs: Runs): Guarded {
  const entries = MEASURE_NAMES.map((name) => [name, rounded(medianOf(MEASURES[name], 'pgweir', runs))])
  return Object.fromEntries(entries) as Guarded
}

export interface Change {
  readonly scenario: string
  readonly measure: GuardMeasure
  readonly before: number
  readonly now: number
  /** 0.1 means a tenth more. */
  readonly growth: number
  readonly verdict: 'slower' | 'as before' | 'faster'
}

/** Returns a change for each scenario that both know, by the best measure that both have. */
export function changesSince(saved: SavedRun, now: Readonly<Record<string, Guarded>>, tolerance: number): Change[] {
  return Object.entries(now).flatMap(([scenario, guarded]) => {
    const before = saved.scenarios[scenario]
    for (const measure of MEASURE_NAMES) {
      const [old, current] = [before?.[measure] ?? null, guarded[measure]]
      if (old !== null && current !== null) return [changeOf(scenario, measure, old, current, tolerance)]
    }
    return []
  })
}

/** Returns how two builds compare that took turns in a scenario; null if there was only one. */
export function changeToBaseline(scenario: string, runs: Runs, tolerance: number): Change | null {
  const [before, now] = [medianOf(MEASURES.cpuToPostgres, 'baseline', runs), medianOf(BESIDE_BASELINE, 'pgweir', runs)]
  if (before === null || now === null) return null
  // The builds are compared round by round, so `before * now` may differ from pgweir's own median.
  return changeOf(scenario, 'cpuToPostgres', before, before * now, tolerance)
}

function changeOf(scenario: string, measure: GuardMeasure, before: number, now: number, tolerance: number): Change {
  const growth = now / before - 1
  const verdict = growth > tolerance ? 'slower' : growth < -tolerance ? 'faster' : 'as before'
  return { scenario, measure, before, now, growth, verdict }
}

/** Adds a run. Scenarios that are not part of it keep their saved figures. */
export function withRun(figures: SavedFigures, key: string, run: SavedRun): SavedFigures {
  return { ...figures, [key]: { ...run, scenarios: { ...figures[key]?.scenarios, ...run.scenarios } } }
}

function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(4))
}
