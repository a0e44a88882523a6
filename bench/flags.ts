/** The flags of `npm run bench`. */

import { parseArgs } from 'node:util'
import type { Effort, Scenario } from './scenario.ts'
import { chooseScenarios, SCENARIOS } from './scenarios.ts'

export interface Flags {
  readonly asksForHelp: boolean
  readonly scenarios: readonly Scenario[]
  readonly effort: Effort
  /** What pgweir runs under. */
  readonly node: string
  readonly isProfiling: boolean
}

export const USAGE = `npm run bench -- [flags]

  --quick           short runs, few clients: to see that everything works
  --only <name>     only this scenario; may be repeated: ${SCENARIOS.map(({ name }) => name).join(', ')}
  --repeats <n>     rounds of each load (5; 1 with --quick)
  --seconds <n>     length of each run of pgbench (5; 2 with --quick)
  --node <path>     run pgweir under another Node
  --profile         pgweir alone, under node --cpu-prof; shows where its time went
`

/** Throws a sentence if something is wrong with them. */
export function readFlags(args: readonly string[]): Flags {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      repeats: { type: 'string' },
      seconds: { type: 'string' },
      node: { type: 'string', default: process.execPath },
      profile: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const { quick: isQuick } = values
  return {
    asksForHelp: values.help,
    scenarios: chooseScenarios(values.only),
    effort: {
      isQuick,
      repeats: count('repeats', values.repeats) ?? (isQuick ? 1 : 5),
      seconds: count('seconds', values.seconds) ?? (isQuick ? 2 : 5),
    },
    node: values.node,
    isProfiling: values.profile,
  }
}

/** pgbench takes whole seconds only. */
function count(flag: string, text: string | undefined): number | null {
  if (text === undefined) return null
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`--${flag} takes a whole number above 0, not ${text}`)
  return Number(text)
}
