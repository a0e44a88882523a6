/** Scenarios in which pgbench keeps the targets busy. */

import type { Encryption } from './encryption.ts'
import { countInstructionsDuring } from './instructions.ts'
import { type Load, latencies, loadArguments, type QueryMode, runPgbench } from './pgbench.ts'
import type { Login } from './postgres.ts'
import { costOf, sampleDuring } from './sampling.ts'
import type { Column, Comparison, Figures, Goal, Scenario, Surroundings } from './scenario.ts'
import { hasPreparedStatements, POOL_SIZE, type Target, type TargetName } from './targets.ts'

export interface LoadOptions {
  readonly name: string
  readonly mode?: QueryMode
  readonly clients: number
  readonly threads?: number
  readonly reconnects?: boolean
  readonly script?: { readonly about: string; readonly text: string }
  readonly login?: Login
  readonly encryption?: Encryption
  readonly targets?: readonly TargetName[]
  readonly settings?: Readonly<Record<string, string>>
  /** The pool size, if `settings` change it. */
  readonly poolSize?: number
  readonly warmUpSeconds?: number
  readonly isExtra?: boolean
  readonly isGuarded?: boolean
  readonly goals?: readonly Goal[]
}

export const TO_PGBOUNCER: Comparison = { target: 'pgbouncer', by: 'ratio' }
export const TO_DIRECT: Comparison = { target: 'direct', by: 'ratio' }
export const TO_BASELINE: Comparison = { target: 'baseline', by: 'ratio' }

/** A runtime with a JIT compiler is warm after this many transactions, however slow the machine is. On a busy machine that takes a few runs. */
const WARM_TRANSACTIONS = 20_000
const MAX_WARM_UPS = 4

const SPEED: readonly Column[] = [
  { title: 'tps', figure: 'perSecond', digits: 0 },
  { title: '× direct', figure: 'perSecond', digits: 2, against: TO_DIRECT },
  { title: '× PgBouncer', figure: 'perSecond', digits: 2, against: TO_PGBOUNCER },
]

const LATENCY: readonly Column[] = [
  { title: 'p50 ms', figure: 'p50Ms', digits: 3 },
  { title: 'p95 ms', figure: 'p95Ms', digits: 3 },
  { title: 'p99 ms', figure: 'p99Ms', digits: 3 },
  { title: 'p50 over direct, ms', figure: 'p50Ms', digits: 3, against: { target: 'direct', by: 'difference' } },
]

const COST: readonly Column[] = [
  { title: 'CPU µs/tx', figure: 'cpuUs', digits: 1 },
  { title: 'user', figure: 'userUs', digits: 1 },
  { title: 'system', figure: 'systemUs', digits: 1 },
  { title: '× PgBouncer', figure: 'cpuUs', digits: 2, against: TO_PGBOUNCER },
  { title: '× baseline', figure: 'cpuUs', digits: 3, against: TO_BASELINE },
  { title: "× Postgres'", figure: 'cpuToPostgres', digits: 3 },
  { title: '× PgBouncer', figure: 'cpuToPostgres', digits: 2, against: TO_PGBOUNCER },
  { title: '× baseline', figure: 'cpuToPostgres', digits: 3, against: TO_BASELINE },
  { title: 'instructions/tx', figure: 'instructions', digits: 0 },
  { title: 'RSS MiB', figure: 'residentMib', digits: 1 },
]

export function loadScenario(options: LoadOptions): Scenario {
  const {
    name,
    mode = 'simple',
    clients,
    threads = 1,
    reconnects = false,
    script,
    login = 'trust',
    encryption = 'none',
  } = options
  const load: Load = { mode, clients, threads, reconnects, script: script?.text ?? null }

  /** An older PgBouncer cannot run the load of the other targets. */
  function loadFor({ name }: Pick<Target, 'name'>, pgbouncerVersion: string | null): Load {
    const isTooOld = name === 'pgbouncer' && pgbouncerVersion !== null && !hasPreparedStatements(pgbouncerVersion)
    return mode === 'prepared' && isTooOld ? { ...load, mode: 'extended' } : load
  }

  function run(target: Target, seconds: number, { directory, pgbouncerVersion }: Surroundings) {
    return runPgbench(loadFor(target, pgbouncerVersion), seconds, target.place, directory)
  }

  return {
    name,
    about: `pgbench ${script?.about ?? '-S'} ${loadArguments(load).slice(1).join(' ')}, ${login} login${encryption === 'none' ? '' : `, TLS (${encryption})`}, pool of ${options.poolSize ?? POOL_SIZE}`,
    needsPgbench: true,
    login,
    encryption,
    targets: options.targets ?? ['direct', 'baseline', 'pgweir', 'pgbouncer'],
    settings: options.settings ?? {},
    startsFresh: false,
    isExtra: options.isExtra ?? false,
    isGuarded: options.isGuarded ?? false,
    // The latency that pgbench reports excludes connecting.
    columns: reconnects ? [...SPEED, ...COST] : [...SPEED, ...LATENCY, ...COST],
    goals: options.goals ?? [],
    repeats: ({ repeats }) => repeats,

    notes({ pgbouncerVersion }) {
      if (loadFor({ name: 'pgbouncer' }, pgbouncerVersion).mode === mode) return []
      return [`PgBouncer ${pgbouncerVersion} has no prepared statements in transaction mode: its run is -M extended.`]
    },

    async warmUp(target, surroundings) {
      const seconds = surroundings.effort.isQuick ? 1 : (options.warmUpSeconds ?? 5)
      let transactions = 0
      for (let runs = 0; runs < MAX_WARM_UPS && transactions < WARM_TRANSACTIONS; runs++) {
        transactions += (await run(target, seconds, surroundings)).summary.transactions
        // With a new connection each, transactions take so long that the warm-up is limited by time only.
        if (reconnects) return
      }
    },

    async measure(target, surroundings): Promise<Figures> {
      const { pid } = target
      const running = run(target, surroundings.effort.seconds, surroundings)
      const sampling = pid === null ? null : sampleDuring({ pooler: pid, postgres: surroundings.postgresPid }, running)
      const counting = pid !== null && surroundings.countsInstructions ? countInstructionsDuring(pid, running) : null
      const [{ summary, log }, samples, instructions] = await Promise.all([running, sampling, counting])
      const { failed, transactions, perSecond } = summary
      if (failed > 0) throw new Error(`${failed} transactions failed on ${target.name}`)
      return {
        ...{ perSecond, transactions },
        ...latencies(log),
        ...(samples ? costOf(samples, log) : {}),
        ...(instructions === null ? {} : { instructions: instructions / transactions }),
      }
    },
  }
}
