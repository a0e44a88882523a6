/** The flags of `npm run bench`. */

import { parseArgs } from 'node:util'
import type { Effort, Scenario } from './scenario.ts'
import { chooseScenarios, SCENARIOS } from './scenarios.ts'
import type { TransportName } from './targets.ts'
import { WishError } from './wish-error.ts'

export interface Flags {
  readonly asksForHelp: boolean
  readonly scenarios: readonly Scenario[]
  readonly effort: Effort
  /** The node program that runs pgweir. */
  readonly node: string
  /** Null leaves the choice to the benchmark. */
  readonly transport: TransportName | null
  readonly workers: number | null
  /** False forbids io_uring to the transport epoll. */
  readonly usesIoUring: boolean
  /** The directory of another build of pgweir, to compare with. */
  readonly baseline: string | null
  readonly isProfiling: boolean
  /** Whether the figures are compared with the committed ones, or replace them. */
  readonly figures: 'guard' | 'save' | null
  /** By how much the CPU time of a transaction may have grown: 0.1 is a tenth. */
  readonly tolerance: number
}

export const USAGE = `npm run bench -- [flags]

  --quick              short runs, few clients, and only what the goals need; rough figures within two minutes
  --only <name,name>   only these scenarios: ${SCENARIOS.map(({ name }) => name).join(', ')}
  --repeats <n>        rounds of each load (5; 1 with --quick)
  --seconds <n>        length of each run of pgbench (5; 2 with --quick)
  --transport <name>   epoll or node (epoll where this pgweir has it)
  --without-io-uring   the transport epoll makes a system call for each socket
  --workers <n>        worker processes of pgweir (1)
  --node <path>        run pgweir under another Node
  --baseline <path>    another checkout of pgweir, built, that takes turns with this one
  --guard              compare the CPU time of transactions with bench/figures.json, and fail if it has grown
  --tolerance <n>      by how many percent it may have grown (10)
  --save               write it to bench/figures.json
  --profile            pgweir alone, under node --cpu-prof; shows where its time went
`

const OPTIONS = {
  quick: { type: 'boolean', default: false },
  only: { type: 'string', multiple: true },
  repeats: { type: 'string' },
  seconds: { type: 'string' },
  transport: { type: 'string' },
  workers: { type: 'string' },
  'without-io-uring': { type: 'boolean', default: false },
  node: { type: 'string', default: process.execPath },
  baseline: { type: 'string' },
  guard: { type: 'boolean', default: false },
  tolerance: { type: 'string' },
  save: { type: 'boolean', default: false },
  profile: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

/** Throws a `WishError` if a flag is wrong. */
export function readFlags(args: readonly string[]): Flags {
  const values = parsed(args)
  const { quick: isQuick } = values
  const names = (values.only ?? []).flatMap((list) => list.split(',')).filter((name) => name !== '')
  const figures = values.guard ? 'guard' : values.save ? 'save' : null
  if (values.guard && values.save)
    throw new WishError('--guard and --save do not go together: the one judges the other')
  if (values.save && isQuick) throw new WishError('the figures of a quick run are too rough to --save')
  return {
    asksForHelp: values.help,
    scenarios: chosen(names, figures !== null, isQuick),
    effort: {
      isQuick,
      repeats: count('repeats', values.repeats) ?? (isQuick ? 1 : 5),
      seconds: count('seconds', values.seconds) ?? (isQuick ? 2 : 5),
    },
    node: values.node,
    transport: transportNamed(values.transport),
    workers: count('workers', values.workers),
    usesIoUring: !values['without-io-uring'],
    baseline: values.baseline ?? null,
    isProfiling: values.profile,
    figures,
    tolerance: (count('tolerance', values.tolerance) ?? 10) / 100,
  }
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS }).values
  } catch (problem) {
    throw new WishError(problem instanceof Error ? problem.message : String(problem))
  }
}

/** Returns the scenarios that were named; if none were, all that are intended for the run. */
function chosen(names: readonly string[], isForFigures: boolean, isQuick: boolean): readonly Scenario[] {
  if (names.length > 0) return chooseScenarios(names)
  return SCENARIOS.filter((scenario) => (isForFigures ? scenario.isGuarded : !(isQuick && scenario.isExtra)))
}

function transportNamed(name: string | undefined): TransportName | null {
  if (name === undefined || name === 'epoll' || name === 'node') return name ?? null
  throw new WishError(`--transport takes epoll or node, not ${name}`)
}

/** pgbench accepts whole seconds only. */
function count(flag: string, text: string | undefined): number | null {
  if (text === undefined) return null
  if (!/^[1-9]\d*$/.test(text)) throw new WishError(`--${flag} takes a whole number above 0, not ${text}`)
  return Number(text)
}
