/** One run of the benchmark: starts the programs, runs the scenarios, prints tables, and writes the figures to a file. */

import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { arch, cpus, loadavg, platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chooseManner, loadBuild, type Manner, OWN_ROOT } from './build.ts'
import { placeKeys } from './encryption.ts'
import { currentCommit, FIGURES_FILE, readFigures, writeFigures } from './figures-file.ts'
import type { Flags } from './flags.ts'
import {
  type Change,
  changesSince,
  changeToBaseline,
  type Guarded,
  guardedOf,
  mannerKey,
  type Versions,
  withRun,
} from './guard.ts'
import { canCountInstructions } from './instructions.ts'
import { findPgbench } from './pgbench.ts'
import { type BenchPostgres, startPostgres } from './postgres.ts'
import { type CpuProfile, selfTimes } from './profile.ts'
import { changeTable, formatTable, goalTable, outcomeLine, scenarioTable } from './report.ts'
import {
  type Outcome,
  outcomes,
  type Runs,
  runScenario,
  type Scenario,
  type Surroundings,
  targetsOfGoals,
} from './scenario.ts'
import { findPgbouncer, type Programs, startTarget, type TargetName } from './targets.ts'

interface Bench {
  readonly flags: Flags
  readonly manner: Manner
  readonly nodeMajor: number
  readonly postgres: BenchPostgres
  readonly programs: Programs
  readonly versions: Versions
  readonly surroundings: Surroundings
  readonly hasPgbench: boolean
}

interface Result {
  readonly name: string
  readonly about: string
  readonly notes: readonly string[]
  /** Why there are no figures; null if there are. */
  readonly skipped: string | null
  readonly runs: Readonly<Record<string, unknown>>
  readonly outcomes: readonly Outcome[]
  readonly guarded: Guarded | null
  /** The comparison with the other build, if there is one. */
  readonly change: Change | null
}

const SHOWN_FUNCTIONS = 45

const MISSING_PGBOUNCER = 'there is no pgbouncer to compare with (Debian has it in the package pgbouncer)'

const MISSING_PGBENCH = 'there is no pgbench (Debian has it in the package postgresql-contrib)'

/** The programs that take part, and how pgweir runs. */
export interface Lineup {
  readonly programs: Programs
  readonly manner: Manner
}

/** Throws a `WishError` if something that was asked for is missing. */
export async function lineUp(flags: Flags): Promise<Lineup> {
  const pgweir = await loadBuild(OWN_ROOT)
  const manner = chooseManner(flags, pgweir.settings, platform())
  const baseline = flags.baseline === null ? null : await loadBuild(flags.baseline)
  const pgbouncer = await findPgbouncer()
  return { manner, programs: { node: flags.node, nodeArguments: [], pgweir, baseline, pgbouncer } }
}

export async function runBench(flags: Flags, { programs, manner }: Lineup): Promise<void> {
  const nodeVersion = execFileSync(flags.node, ['--version'], { encoding: 'utf8' }).trim()
  const nodeMajor = Number.parseInt(nodeVersion.slice(1), 10)
  const hasPgbench = findPgbench() !== null
  const pgbouncerVersion = programs.pgbouncer?.version ?? null
  console.log(`pgweir: ${mannerKey(nodeMajor, manner)} (Node ${nodeVersion})`)
  console.log(pgbouncerVersion === null ? MISSING_PGBOUNCER : `PgBouncer ${pgbouncerVersion}`)
  if (!hasPgbench) console.log(`${MISSING_PGBENCH}: only the scenarios that do without it run`)
  sayHowBusy()

  const directory = await mkdtemp(join(tmpdir(), 'pgweir-bench-'))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  // The poolers may run as another user.
  await chmod(directory, 0o755)
  const postgres = await startPostgres(hasPgbench, await placeKeys(directory), (sentence) =>
    console.log(`  ${sentence}`),
  )
  const { effort } = flags
  const bench: Bench = {
    ...{ flags, manner, nodeMajor, postgres, programs, hasPgbench },
    versions: { node: nodeVersion, postgres: postgres.version, pgbouncer: pgbouncerVersion },
    surroundings: {
      ...{ effort, directory, pgbouncerVersion },
      postgresPid: postgres.pid,
      workers: manner.workers,
      countsInstructions: canCountInstructions(),
    },
  }
  try {
    const results: Result[] = []
    for (const scenario of flags.scenarios) results.push(await measure(scenario, bench))
    if (flags.isProfiling) return
    await conclude(results, bench)
  } finally {
    await postgres.stop()
  }
}

/** Prints how busy the machine is, for readers of absolute figures. */
function sayHowBusy(): void {
  const [load = 0] = loadavg()
  console.log(`${cpus().length} processors, busy with ${load.toFixed(1)} programs over the last minute`)
  if (load > cpus().length / 2)
    console.log('Other work is going on: absolute figures and small differences mean little.')
}

async function measure(scenario: Scenario, bench: Bench): Promise<Result> {
  const { flags, surroundings, programs, postgres, manner } = bench
  const { name, about, login, encryption, settings } = scenario
  console.log(`\n${name}: ${about}`)
  const names = targetsOf(scenario, bench)
  const { pgbouncerVersion } = surroundings
  const notes = scenario.notes({
    ...surroundings,
    pgbouncerVersion: names.includes('pgbouncer') ? pgbouncerVersion : null,
  })
  const nothing: Result = { name, about, notes, skipped: null, runs: {}, outcomes: [], guarded: null, change: null }
  const obstacle = obstacleTo(scenario, bench)
  if (obstacle !== null) {
    console.log(`skipped: ${obstacle}`)
    return { ...nothing, skipped: obstacle }
  }
  const { directory } = surroundings
  const profiles = await mkdtemp(join(directory, 'profile-'))
  const nodeArguments = flags.isProfiling ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`] : []
  const options = { login, encryption, postgres, directory, manner, settings, programs: { ...programs, nodeArguments } }
  let runs: Runs
  try {
    const start = (target: TargetName) => startTarget(target, options)
    runs = await runScenario(scenario, names, start, surroundings, showProgress)
  } catch (problem) {
    showProgress()
    const said = problem instanceof Error ? problem.message : String(problem)
    console.log(`${name} FAILED: ${said}`)
    process.exitCode = 1
    return { ...nothing, skipped: `failed: ${said}` }
  }
  showProgress()
  console.log(scenarioTable(scenario, runs))
  for (const note of notes) console.log(note)
  if (flags.isProfiling) {
    await showProfiles(profiles)
    return nothing
  }
  const reached = outcomes(scenario, runs, manner.transport)
  if (flags.figures !== 'guard') for (const outcome of reached) console.log(outcomeLine(outcome))
  const guarded = scenario.isGuarded ? guardedOf(runs) : null
  const change = scenario.isGuarded ? changeToBaseline(name, runs, flags.tolerance) : null
  return { ...nothing, runs: Object.fromEntries(runs), outcomes: reached, guarded, change }
}

/** Returns why a scenario cannot run here, or null. */
function obstacleTo({ needsPgbench, settings }: Scenario, { hasPgbench, programs }: Bench): string | null {
  if (needsPgbench && !hasPgbench) return MISSING_PGBENCH
  const unknown = unknownSettings(settings, programs.pgweir.settings)
  return unknown.length === 0 ? null : `this pgweir has no setting named ${unknown.join(', ')}`
}

function unknownSettings(settings: Scenario['settings'], known: ReadonlySet<string>): string[] {
  return Object.keys(settings).filter((key) => !known.has(key))
}

function targetsOf(scenario: Scenario, { flags, programs }: Bench): TargetName[] {
  const { baseline, pgbouncer } = programs
  if (flags.isProfiling) return ['pgweir']
  const canBeBaseline = baseline !== null && unknownSettings(scenario.settings, baseline.settings).length === 0
  return wantedOf(scenario, flags).filter(
    (name) => (name !== 'baseline' || canBeBaseline) && (name !== 'pgbouncer' || pgbouncer !== null),
  )
}

function wantedOf(scenario: Scenario, { effort, figures }: Flags): readonly TargetName[] {
  if (figures === 'guard') return ['baseline', 'pgweir']
  return effort.isQuick ? targetsOfGoals(scenario) : scenario.targets
}

/** On a terminal, shows progress in a line that is overwritten. */
function showProgress(name?: TargetName, round?: number): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${name ? `  round ${round}: ${name}` : ''}`)
}

async function showProfiles(directory: string): Promise<void> {
  for (const file of await readdir(directory)) {
    const profile = JSON.parse(await readFile(join(directory, file), 'utf8')) as CpuProfile
    const rows = selfTimes(profile, readLines)
      .slice(0, SHOWN_FUNCTIONS)
      .map(({ name, place, ms, share }) => [name, place, ms.toFixed(0), `${(share * 100).toFixed(1)} %`])
    console.log(formatTable([['function', 'at', 'ms', 'share'], ...rows]))
  }
}

function readLines(url: string): readonly string[] | null {
  try {
    return readFileSync(fileURLToPath(url), 'utf8').split('\n')
  } catch {
    return null
  }
}

async function conclude(results: readonly Result[], bench: Bench): Promise<void> {
  const { flags } = bench
  const judged = results.filter((result) => result.outcomes.length > 0)
  if (judged.length > 0 && flags.figures !== 'guard') {
    console.log(`\n${goalTable(judged)}`)
    if (flags.effort.isQuick) console.log('Rough figures of a quick run: they show that all works, and little more.')
  }
  for (const { name, skipped } of results) if (skipped !== null) console.log(`${name}: no figures: ${skipped}`)
  await writeResults(results, bench)
  if (flags.figures === 'save') await saveFigures(results, bench)
  if (flags.figures === 'guard') await guard(results, bench)
}

async function writeResults(results: readonly Result[], { flags, versions, manner }: Bench): Promise<void> {
  const startedAt = new Date().toISOString()
  const directory = join(OWN_ROOT, 'bench', 'results')
  await mkdir(directory, { recursive: true })
  const file = join(directory, `${startedAt.replaceAll(':', '-')}.json`)
  const machine = { platform: platform(), arch: arch(), cpus: cpus().length, cpu: cpus()[0]?.model ?? null }
  const { effort } = flags
  const data = { startedAt, commit: currentCommit(), machine, versions, manner, effort, results }
  await writeFile(file, `${JSON.stringify(data, null, 2)}\n`)
  console.log(`\nwritten to ${file}`)
}

function guardedIn(results: readonly Result[]): Record<string, Guarded> {
  return Object.fromEntries(results.flatMap(({ name, guarded }) => (guarded === null ? [] : [[name, guarded]])))
}

async function saveFigures(results: readonly Result[], { nodeMajor, manner, versions }: Bench): Promise<void> {
  const run = { savedAt: new Date().toISOString(), commit: currentCommit(), versions, scenarios: guardedIn(results) }
  await writeFigures(withRun(await readFigures(), mannerKey(nodeMajor, manner), run))
  console.log(`saved in ${FIGURES_FILE}: commit it if the figures are good`)
}

async function guard(results: readonly Result[], { nodeMajor, manner, flags }: Bench): Promise<void> {
  const key = mannerKey(nodeMajor, manner)
  let changes: Change[]
  if (flags.baseline !== null) {
    console.log(`\nbeside the build in ${flags.baseline} (${key}):`)
    changes = results.flatMap(({ change }) => change ?? [])
  } else {
    const saved = (await readFigures())[key]
    if (!saved) {
      console.log(`\nthere are no figures to compare with for ${key}: --save writes them`)
      process.exitCode = 1
      return
    }
    console.log(`\nbeside ${saved.commit ?? 'an unknown commit'} of ${saved.savedAt.slice(0, 10)} (${key}):`)
    changes = changesSince(saved, guardedIn(results), flags.tolerance)
  }
  console.log(changeTable(changes))
  if (changes.some(({ verdict }) => verdict === 'slower')) process.exitCode = 1
}
