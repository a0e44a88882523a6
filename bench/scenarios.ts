/** THE table of scenarios, in the order in which they run. To add one, add a row. */

import { cpuGoal, loadScenario } from './load.ts'
import { CHURN, IDLE, STOPPED_READER } from './memory.ts'
import type { Scenario } from './scenario.ts'

export const SCENARIOS: readonly Scenario[] = [
  loadScenario({ name: 'simple', clients: 16, goals: [cpuGoal({ node20: 3, node24: 2.6 })] }),
  loadScenario({ name: 'extended', mode: 'extended', clients: 16 }),
  loadScenario({ name: 'prepared', mode: 'prepared', clients: 16 }),
  loadScenario({ name: 'simple-64', clients: 64 }),
  loadScenario({ name: 'simple-128', clients: 128 }),
  loadScenario({ name: 'single', clients: 1 }),
  loadScenario({ name: 'connect', clients: 16, reconnects: true }),
  // The client's own part of SCRAM makes this slow, and at a hundred logins a second code stays cold for long.
  loadScenario({ name: 'connect-scram', clients: 16, reconnects: true, login: 'scram', warmUpSeconds: 10 }),
  IDLE,
  STOPPED_READER,
  CHURN,
]

/** All of them, or those that were named. */
export function chooseScenarios(names: readonly string[]): readonly Scenario[] {
  const unknown = names.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name))
  if (unknown.length > 0) {
    const known = SCENARIOS.map(({ name }) => name).join(', ')
    throw new Error(`there is no scenario ${unknown.join(', ')}; there are ${known}`)
  }
  return names.length === 0 ? SCENARIOS : SCENARIOS.filter(({ name }) => names.includes(name))
}
