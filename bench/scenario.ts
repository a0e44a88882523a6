/** Defines scenarios: how their runs are interleaved, and how their figures are evaluated. */

import type { Encryption } from './encryption.ts'
import type { Login } from './postgres.ts'
import { median } from './statistics.ts'
import type { Target, TargetName, TransportName } from './targets.ts'

/** The figures of one run, by name. Each scenario has its own. */
export type Figures = Readonly<Record<string, number>>

export type Runs = ReadonlyMap<TargetName, readonly Figures[]>

/** A figure by itself, or compared with the same figure of another target in the same round. */
export interface Measure {
  readonly figure: string
  readonly against?: Comparison
}

export interface Comparison {
  readonly target: TargetName
  readonly by: 'ratio' | 'difference'
  /** Both figures count only by what they exceed this third target's by. */
  readonly over?: TargetName
}

export interface Column extends Measure {
  readonly title: string
  readonly digits: number
}

/** What pgweir should reach, on each of its transports. */
export interface Goal extends Measure {
  readonly sentence: string
  readonly bound: Bound
  readonly limits: Readonly<Record<TransportName, number>>
  /** A stricter limit that is not required. */
  readonly stretch?: Readonly<Partial<Record<TransportName, number>>>
}

export type Bound = 'at most' | 'at least'

/** How long and how often scenarios run. */
export interface Effort {
  readonly isQuick: boolean
  readonly repeats: number
  readonly seconds: number
}

export interface Surroundings {
  readonly effort: Effort
  /** A directory of this scenario alone, for temporary files. */
  readonly directory: string
  /** Null if there is no PgBouncer. */
  readonly pgbouncerVersion: string | null
  /** The server's first process. */
  readonly postgresPid: number
  /** The number of pgweir's workers. */
  readonly workers: number
  /** Whether the machine can count instructions, and permits it. */
  readonly countsInstructions: boolean
}

export interface Scenario {
  readonly name: string
  readonly about: string
  readonly needsPgbench: boolean
  readonly login: Login
  readonly encryption: Encryption
  readonly targets: readonly TargetName[]
  /** Settings of pgweir in addition to those of both poolers. A build that does not know them all cannot take part. */
  readonly settings: Readonly<Record<string, string>>
  /** Each run needs a new process, because it measures memory. */
  readonly startsFresh: boolean
  /** It is left out of a quick run. */
  readonly isExtra: boolean
  /** Its CPU time is compared with that of earlier runs: see `guard.ts`. */
  readonly isGuarded: boolean
  readonly columns: readonly Column[]
  readonly goals: readonly Goal[]
  /** What readers of the figures must know. */
  notes(surroundings: Surroundings): readonly string[]
  repeats(effort: Effort): number
  /** Called before the first run of a process. */
  warmUp(target: Target, surroundings: Surroundings): Promise<void>
  measure(target: Target, surroundings: Surroundings): Promise<Figures>
}

export type StartTarget = (name: TargetName) => Promise<Target>

/** Runs rounds one after the other, each with one run per target (A B C A B C), so that all targets meet the same conditions. */
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

/** Returns the targets that the goals mention. A quick run measures only these. */
export function targetsOfGoals({ targets, goals }: Pick<Scenario, 'targets' | 'goals'>): TargetName[] {
  const named = goals.flatMap(({ against }) => (against ? [against.target, against.over] : []))
  return targets.filter((name) => name === 'pgweir' || name === 'baseline' || named.includes(name))
}

/** Returns the median over the rounds. If targets are compared, they are compared round by round first. Null if there are no figures. */
export function medianOf(measure: Measure, target: TargetName, runs: Runs): number | null {
  const values = valuesOf(measure, target, runs)
  return values.length === 0 ? null : median(values)
}

/** Returns one value for each round. */
export function valuesOf({ figure, against }: Measure, target: TargetName, runs: Runs): number[] {
  const rounds = runs.get(target) ?? []
  return rounds.flatMap((figures, round) => {
    const value = figures[figure]
    if (value === undefined) return []
    if (!against) return [value]
    const other = runs.get(against.target)?.[round]?.[figure]
    const base = against.over === undefined ? 0 : runs.get(against.over)?.[round]?.[figure]
    if (other === undefined || base === undefined) return []
    return [against.by === 'ratio' ? (value - base) / (other - base) : value - other]
  })
}

export interface Outcome {
  readonly sentence: string
  readonly bound: Bound
  readonly limit: number
  readonly stretch: number | null
  /** Null if there was no target to compare with. */
  readonly reached: number | null
  readonly verdict: Verdict
}

export type Verdict = 'reached' | 'stretch reached' | 'missed' | 'not judged'

/** Returns how far pgweir reaches its goals. */
export function outcomes({ goals }: Pick<Scenario, 'goals'>, runs: Runs, transport: TransportName): Outcome[] {
  return goals.map((goal) => {
    const reached = medianOf(goal, 'pgweir', runs)
    const limit = goal.limits[transport]
    const stretch = goal.stretch?.[transport] ?? null
    const { sentence, bound } = goal
    return { sentence, bound, limit, stretch, reached, verdict: judge(reached, bound, limit, stretch) }
  })
}

function judge(reached: number | null, bound: Bound, limit: number, stretch: number | null): Verdict {
  if (reached === null) return 'not judged'
  const keeps = (to: number) => (bound === 'at most' ? reached <= to : reached >= to)
  if (stretch !== null && keeps(stretch)) return 'stretch reached'
  return keeps(limit) ? 'reached' : 'missed'
}
