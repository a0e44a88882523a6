/** Scenarios in which pgbench keeps the targets busy. */

import { type Load, loadArguments, type QueryMode, runPgbench } from './pgbench.ts'
import type { Login } from './postgres.ts'
import { cpuTimeOf, residentKibOf } from './process-figures.ts'
import type { Column, Figures, Goal, Scenario } from './scenario.ts'
import { hasPreparedStatements, POOL_SIZE, TARGET_NAMES, type Target } from './targets.ts'

export interface LoadOptions {
  readonly name: string
  readonly mode?: QueryMode
  readonly clients: number
  readonly threads?: number
  readonly reconnects?: boolean
  readonly login?: Login
  readonly warmUpSeconds?: number
  readonly goals?: readonly Goal[]
}

const TO_PGBOUNCER = { target: 'pgbouncer', by: 'ratio' } as const

const SPEED: readonly Column[] = [
  { title: 'tps', figure: 'perSecond', digits: 0 },
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
  { title: 'RSS MiB', figure: 'residentMib', digits: 1 },
]

export function cpuGoal(limits: { readonly node20: number; readonly node24: number }): Goal {
  return {
    sentence: "CPU per transaction, in times of PgBouncer's",
    figure: 'cpuUs',
    against: TO_PGBOUNCER,
    atMost: (nodeMajor) => (nodeMajor >= 24 ? limits.node24 : limits.node20),
  }
}

export function loadScenario(options: LoadOptions): Scenario {
  const {
    name,
    mode = 'simple',
    clients,
    threads = 1,
    reconnects = false,
    login = 'trust',
    warmUpSeconds = 2,
    goals = [],
  } = options
  const load: Load = { mode, clients, threads, reconnects }

  /** An older PgBouncer cannot do what is asked of the others. */
  function loadFor({ name }: Pick<Target, 'name'>, pgbouncerVersion: string | null): Load {
    const isTooOld = name === 'pgbouncer' && pgbouncerVersion !== null && !hasPreparedStatements(pgbouncerVersion)
    return mode === 'prepared' && isTooOld ? { ...load, mode: 'extended' } : load
  }

  return {
    name,
    about: `pgbench ${loadArguments(load).join(' ')}, ${login} login, pool of ${POOL_SIZE}`,
    needsPgbench: true,
    login,
    targets: TARGET_NAMES,
    startsFresh: false,
    // pgbench's latency leaves the connecting out.
    columns: reconnects ? [...SPEED, ...COST] : [...SPEED, ...LATENCY, ...COST],
    goals,
    repeats: ({ repeats }) => repeats,

    notes({ pgbouncerVersion }) {
      if (loadFor({ name: 'pgbouncer' }, pgbouncerVersion).mode === mode) return []
      return [`PgBouncer ${pgbouncerVersion} has no prepared statements in transaction mode: its run is -M extended.`]
    },

    async warmUp(target, { directory, pgbouncerVersion, effort }) {
      const seconds = effort.isQuick ? 1 : warmUpSeconds
      await runPgbench(loadFor(target, pgbouncerVersion), seconds, target.place, directory)
    },

    async measure(target, { directory, pgbouncerVersion, effort }) {
      const { pid, place } = target
      const before = pid === null ? null : cpuTimeOf(pid)
      const { summary, latencies } = await runPgbench(
        loadFor(target, pgbouncerVersion),
        effort.seconds,
        place,
        directory,
      )
      if (summary.failed > 0) throw new Error(`${summary.failed} transactions failed on ${target.name}`)
      const figures: Figures = { perSecond: summary.perSecond, transactions: summary.transactions, ...latencies }
      if (pid === null || before === null) return figures
      const after = cpuTimeOf(pid)
      const userUs = ((after.userMs - before.userMs) * 1000) / summary.transactions
      const systemUs = ((after.systemMs - before.systemMs) * 1000) / summary.transactions
      return { ...figures, userUs, systemUs, cpuUs: userUs + systemUs, residentMib: residentKibOf(pid) / 1024 }
    },
  }
}
