/** One run of the benchmark: starts what is needed, goes through the scenarios, prints tables and writes the figures down. */

import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { arch, cpus, platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram } from './child.ts'
import type { Flags } from './flags.ts'
import { type BenchPostgres, startPostgres } from './postgres.ts'
import { type CpuProfile, selfTimes } from './profile.ts'
import { formatTable, outcomeLine, scenarioTable } from './report.ts'
import { type Effort, type Outcome, outcomes, type Runs, runScenario, type Scenario } from './scenario.ts'
import { findPgbouncer, type Programs, startTarget, type TargetName } from './targets.ts'

interface Bench {
  readonly postgres: BenchPostgres
  readonly programs: Programs
  readonly effort: Effort
  readonly directory: string
  readonly hasPgbench: boolean
  readonly isProfiling: boolean
}

interface Result {
  readonly name: string
  readonly about: string
  readonly notes: readonly string[]
  readonly runs: Readonly<Record<string, unknown>>
  readonly outcomes: readonly Outcome[]
}

const SHOWN_FUNCTIONS = 45

const MISSING_PGBOUNCER = 'there is no pgbouncer on PATH to compare with'

const MISSING_PGBENCH =
  'There is no pgbench on PATH: only the scenarios that do without it run. Debian has it in postgresql-15 and the like.'

export async function runBench(flags: Flags): Promise<void> {
  const hasPgbench = findProgram('pgbench') !== null
  const pgbouncer = await findPgbouncer()
  const nodeVersion = execFileSync(flags.node, ['--version'], { encoding: 'utf8' }).trim()
  const nodeMajor = Number.parseInt(nodeVersion.slice(1), 10)
  console.log(
    `pgweir runs under Node ${nodeVersion}; ${pgbouncer ? `PgBouncer ${pgbouncer.version}` : MISSING_PGBOUNCER}`,
  )
  if (!hasPgbench) console.log(MISSING_PGBENCH)

  const directory = await mkdtemp(join(tmpdir(), 'pgweir-bench-'))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  // The poolers may run as another user.
  await chmod(directory, 0o755)
  const postgres = await startPostgres(hasPgbench, (sentence) => console.log(`  ${sentence}`))
  try {
    const { effort, isProfiling } = flags
    const programs = { node: flags.node, nodeArguments: [], pgbouncer }
    const bench: Bench = { postgres, directory, hasPgbench, isProfiling, programs, effort }
    const results: Result[] = []
    for (const scenario of flags.scenarios) {
      const result = await measure(scenario, bench, nodeMajor)
      if (result) results.push(result)
    }
    if (!isProfiling) await save({ nodeVersion, pgbouncer: pgbouncer?.version ?? null, bench, results })
  } finally {
    await postgres.stop()
  }
}

/** Null if the scenario cannot run here, or failed. */
async function measure(scenario: Scenario, bench: Bench, nodeMajor: number): Promise<Result | null> {
  const { hasPgbench, programs, postgres, isProfiling } = bench
  if (scenario.needsPgbench && !hasPgbench) return null
  console.log(`\n${scenario.name}: ${scenario.about}`)
  const surroundings = {
    effort: bench.effort,
    directory: bench.directory,
    pgbouncerVersion: programs.pgbouncer?.version ?? null,
  }
  const profiles = await mkdtemp(join(bench.directory, 'profile-'))
  const nodeArguments = isProfiling ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`] : []
  const names = scenario.targets.filter((name) => isTakingPart(name, bench))
  let runs: Runs
  try {
    runs = await runScenario(
      scenario,
      names,
      (name) =>
        startTarget(name, {
          login: scenario.login,
          postgres,
          directory: bench.directory,
          programs: { ...programs, nodeArguments },
        }),
      surroundings,
      showProgress,
    )
  } catch (problem) {
    showProgress()
    console.log(`${scenario.name} FAILED: ${problem instanceof Error ? problem.message : problem}`)
    process.exitCode = 1
    return null
  }
  showProgress()
  console.log(scenarioTable(scenario, runs))
  const notes = scenario.notes(surroundings)
  for (const note of notes) console.log(note)
  // Nothing is judged by a quick run.
  const reached = bench.effort.isQuick ? [] : outcomes(scenario, runs, nodeMajor)
  for (const outcome of reached) console.log(outcomeLine(outcome))
  if (isProfiling) await showProfiles(profiles)
  return { name: scenario.name, about: scenario.about, notes, runs: Object.fromEntries(runs), outcomes: reached }
}

function isTakingPart(name: TargetName, { programs, isProfiling }: Bench): boolean {
  return isProfiling ? name === 'pgweir' : name !== 'pgbouncer' || programs.pgbouncer !== null
}

/** On a terminal, one line that is written over. */
function showProgress(name?: TargetName, round?: number): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${name ? `  round ${round}: ${name}` : ''}`)
}

async function showProfiles(directory: string): Promise<void> {
  for (const file of await readdir(directory)) {
    const profile = JSON.parse(await readFile(join(directory, file), 'utf8')) as CpuProfile
    const rows = selfTimes(profile)
      .slice(0, SHOWN_FUNCTIONS)
      .map(({ name, place, ms, share }) => [name, place, ms.toFixed(0), `${(share * 100).toFixed(1)} %`])
    console.log(formatTable([['function', 'at', 'ms', 'share'], ...rows]))
  }
}

interface Outcomes {
  readonly nodeVersion: string
  readonly pgbouncer: string | null
  readonly bench: Bench
  readonly results: readonly Result[]
}

async function save({ nodeVersion, pgbouncer, bench, results }: Outcomes): Promise<void> {
  const startedAt = new Date().toISOString()
  const directory = join('bench', 'results')
  await mkdir(directory, { recursive: true })
  const file = join(directory, `${startedAt.replaceAll(':', '-')}.json`)
  const { effort, postgres } = bench
  const machine = { platform: platform(), arch: arch(), cpus: cpus().length, cpu: cpus()[0]?.model ?? null }
  const versions = { node: nodeVersion, postgres: postgres.version, pgbouncer }
  await writeFile(file, `${JSON.stringify({ startedAt, machine, versions, effort, results }, null, 2)}\n`)
  console.log(`\nwritten to ${file}`)
}
