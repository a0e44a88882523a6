/** THE table of scenarios, in the order in which they run. To add one, add a row. */

import { COPY_IN, COPY_OUT } from './copy.ts'
import { type LoadOptions, loadScenario, TO_DIRECT, TO_PGBOUNCER } from './load.ts'
import { CHURN, IDLE, SLOW_READER } from './memory.ts'
import { CONSOLE } from './pauses.ts'
import { SCALE } from './postgres.ts'
import type { Goal, Scenario } from './scenario.ts'
import { WishError } from './wish-error.ts'

type Limits = Pick<Goal, 'limits' | 'stretch'>

function cpu(limits: Limits): Goal {
  return {
    ...{ sentence: "CPU per transaction, in times of PgBouncer's", figure: 'cpuUs', against: TO_PGBOUNCER },
    bound: 'at most',
    ...limits,
  }
}

function speed(limits: Limits): Goal {
  return {
    ...{ sentence: "transactions per second, in times of PgBouncer's", figure: 'perSecond', against: TO_PGBOUNCER },
    bound: 'at least',
    ...limits,
  }
}

const LATENCY: Goal = {
  sentence: "what the median latency has over direct, in times of PgBouncer's",
  figure: 'p50Ms',
  against: { target: 'pgbouncer', by: 'ratio', over: 'direct' },
  bound: 'at most',
  limits: { epoll: 1.5, node: 2.5 },
}

const FAIRNESS: Goal = {
  sentence: 'p99 / p50 of latency',
  figure: 'p99ToP50',
  bound: 'at most',
  limits: { epoll: 2, node: 2 },
}

const ALONE = { limits: { epoll: 1.6, node: 2.6 }, stretch: { epoll: 1.35 } }
const PARSED = { limits: { epoll: 1.8, node: 3 } }
const ENCRYPTED = { limits: { epoll: 1.8, node: 3 } }
const CROWDED = { limits: { epoll: 1.3, node: 2.2 }, stretch: { epoll: 1 } }

const SPEED = speed({ limits: { epoll: 0.92, node: 0.8 } })
const CONNECTS = speed({ limits: { epoll: 0.9, node: 0.6 } })

/** Unnamed statements that are kept prepared on the server: how fast `-M extended` becomes with pgweir, compared with PostgreSQL without a pooler. */
const KEPT: Omit<LoadOptions, 'name'> = {
  mode: 'extended',
  clients: 16,
  targets: ['direct', 'baseline', 'pgweir'],
  settings: { auto_prepare: '1' },
}

function keptSpeed(times: number): Goal {
  return {
    ...{ sentence: 'transactions per second, in times of direct ones', figure: 'perSecond', against: TO_DIRECT },
    ...{ bound: 'at least', limits: { epoll: times, node: times } },
  }
}

const JOIN = {
  about: '-f (a join of three tables)',
  text: `\\set aid random(1, ${SCALE * 100_000})
select a.abalance, b.bbalance, t.tbalance
from pgbench_accounts a join pgbench_branches b on b.bid = a.bid join pgbench_tellers t on t.bid = b.bid
where a.aid = :aid and t.tid = b.bid * 10;
`,
}

/** Servers are busy without using the processors, so that latency shows how long clients wait for each other. */
function waitsInFleet(name: string, poolSize: number): Scenario {
  return loadScenario({
    ...{ name, clients: 100, targets: ['baseline', 'pgweir'] },
    script: { about: '-f (10 ms of sleep), 4 workers', text: 'select pg_sleep(0.01);\n' },
    settings: { workers: '4', default_pool_size: String(poolSize) },
    poolSize,
    isExtra: true,
    goals: [{ ...FAIRNESS, limits: { epoll: 3, node: 3 } }],
  })
}

/** The targets for a thousand clients: too many connections for this PostgreSQL to serve directly. */
const POOLED = ['baseline', 'pgweir', 'pgbouncer'] as const

// The cost of measuring will be added once there is a build without it. Until then, --baseline compares with one made by hand.
export const SCENARIOS: readonly Scenario[] = [
  loadScenario({ name: 'simple', clients: 16, isGuarded: true, goals: [cpu(ALONE), SPEED] }),
  loadScenario({ name: 'extended', mode: 'extended', clients: 16, isGuarded: true, goals: [cpu(PARSED)] }),
  loadScenario({ name: 'prepared', mode: 'prepared', clients: 16, isGuarded: true, goals: [cpu(PARSED)] }),
  loadScenario({ name: 'simple-64', clients: 64, goals: [SPEED] }),
  loadScenario({ name: 'simple-128', clients: 128, isGuarded: true, goals: [cpu(CROWDED)] }),
  loadScenario({
    ...{ name: 'simple-1000', clients: 1_000, targets: POOLED, isGuarded: true },
    goals: [cpu(CROWDED), FAIRNESS],
  }),
  loadScenario({ name: 'tls', clients: 16, encryption: 'clients', goals: [cpu(ENCRYPTED)] }),
  loadScenario({ name: 'tls-all', clients: 16, encryption: 'all', goals: [cpu(ENCRYPTED)] }),
  waitsInFleet('fleet-20', 20),
  waitsInFleet('fleet-3', 3),
  waitsInFleet('fleet-1', 1),
  loadScenario({ name: 'single', clients: 1, goals: [LATENCY] }),
  loadScenario({ name: 'auto-prepare', ...KEPT, goals: [keptSpeed(1.3)] }),
  // More clients than the pool has servers, as is usual with a pooler. Without one, each has a server of its own.
  loadScenario({ name: 'auto-prepare-128', ...KEPT, clients: 128, goals: [keptSpeed(1.3)] }),
  loadScenario({ name: 'auto-prepare-join', ...KEPT, script: JOIN, goals: [keptSpeed(2)] }),
  loadScenario({ name: 'connect', clients: 16, reconnects: true, isExtra: true }),
  // The client's own share of SCRAM makes this slow: at a hundred logins per second, V8 needs half a minute to compile, which halves the cost of a
  // login.
  loadScenario({
    ...{ name: 'connect-scram', clients: 16, reconnects: true, login: 'scram', warmUpSeconds: 30 },
    goals: [CONNECTS],
  }),
  IDLE,
  SLOW_READER,
  COPY_OUT,
  COPY_IN,
  CONSOLE,
  CHURN,
]

/** Returns the scenarios that were named, or all if none were. */
export function chooseScenarios(names: readonly string[]): readonly Scenario[] {
  const unknown = names.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name))
  if (unknown.length > 0) {
    const known = SCENARIOS.map(({ name }) => name).join(', ')
    throw new WishError(`there is no scenario ${unknown.join(', ')}; there are ${known}`)
  }
  return names.length === 0 ? SCENARIOS : SCENARIOS.filter(({ name }) => names.includes(name))
}
