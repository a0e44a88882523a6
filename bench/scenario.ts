/** What a scenario is, how its runs are interleaved, and what is made of the figures. */

import type { Login } from './postgres.ts'
import { median } from './statistics.ts'
import type { Target, TargetName } from './targets.ts'

/** What one run gave, by name: each scenario has its own. */
export type Figures = Readonly<Record<string, number>>

export type Runs = ReadonlyMap<TargetName, readonly Figures[]>

/** A figure as it is, or next to another target's of the same round. */
export interface Measure {
  readonly figure: string
  readonly against?: { readonly target: TargetName; readonly by: 'ratio' | 'difference' }
}

export interface Column extends Measure {
  readonly title: string
  readonly digits: number
}

/** What pgweir should reach. */
export interface Goal extends Measure {
  readonly sentence: string
  atMost(nodeMajor: number): number
}

/** How long and how often. */
export interface Effort {
  readonly isQuick: boolean
  readonly repeats: number
  readonly seconds: number
}

export interface Surroundings {
  readonly effort: Effort
  /** Of this scenario alone, for files that come and go. */
  readonly directory: string
  /** Null if there is no PgBouncer. */
  readonly pgbouncerVersion: string | null
}

export interface Scenario {
  readonly name: string
  readonly about: string
  readonly needsPgbench: boolean
  readonly login: Login
  readonly targets: readonly TargetName[]
  /** What is told of memory needs a process without a past. */
  readonly startsFresh: boolean
  readonly columns: readonly Column[]
  readonly goals: readonly Goal[]
  /** What must be known to read the figures. */
  notes(surroundings: Surroundings): readonly string[]
  repeats(effort: Effort): number
  /** Before the first run of a process. */
  warmUp(target: Target, surroundings: Surroundings): Promise<void>
  measure(target: Target, surroundings: Surroundings): Promise<Figures>
}

export type StartTarget = (name: TargetName) => Promise<Target>

/** One round after the other, in each of them one run of each target: A B C A B C, so that all see the same weather. */
export async function runScenario(
  scenario: Scenario,
  names: readonly TargetName[],
  start: StartTarget,
  surroundings: Surroundings,
  onRun: (name: TargetName, round: number) => void,
): Promise<Runs> {
  const runs = new Map<TargetName, Figures[]>(names.map((name) => [name, []]))
  const kept = new Map<TargetName, Target>()
  try {
    for (let round = 1; round <= scenario.repeats(surroundings.effort); round++)
      for (const name of names) {
        let target = kept.get(name)
        if (!target) {
          target = await start(name)
          kept.set(name, target)
          await scenario.warmUp(target, surroundings)
        }
        onRun(name, round)
        runs.get(name)?.push(await scenario.measure(target, surroundings))
        if (!scenario.startsFresh) continue
        kept.delete(name)
        await target.stop()
      }
  } finally {
    for (const target of kept.values()) await target.stop()
  }
  return runs
}

/** The median over the rounds; where targets are compared, they are compared round by round first. Null if there is nothing to tell. */
export function medianOf({ figure, against }: Measure, target: TargetName, runs: Runs): number | null {
  const values: number[] = []
  const others = against ? (runs.get(against.target) ?? []) : []
  for (const [round, figures] of (runs.get(target) ?? []).entries()) {
    const value = figures[figure]
    const other = others[round]?.[figure]
    if (value === undefined) continue
    if (!against) values.push(value)
    else if (other !== undefined) values.push(against.by === 'ratio' ? value / other : value - other)
  }
  return values.length === 0 ? null : median(values)
}

export interface Outcome {
  readonly sentence: string
  readonly limit: number
  readonly reached: number
  readonly isMet: boolean
}

/** How pgweir stands by the goals that the runs have something to say about. */
export function outcomes(scenario: Scenario, runs: Runs, nodeMajor: number): Outcome[] {
  return scenario.goals.flatMap((goal) => {
    const reached = medianOf(goal, 'pgweir', runs)
    if (reached === null) return []
    const limit = goal.atMost(nodeMajor)
    return [{ sentence: goal.sentence, limit, reached, isMet: reached <= limit }]
  })
}
