/** Starts as many processes as the settings ask for. */

import { keepYoungGenerationAsItIs } from '../base/young-generation.ts'
import type { Settings } from '../settings/load.ts'
import { usableCores } from '../workers/cores.ts'
import { type Pooler, type StartOptions, startPooler } from './start.ts'
import { startFleet } from './start-fleet.ts'

export type LaunchOptions = Pick<StartOptions, 'isQuiet' | 'load'>

/** With one worker there is one process, this one. Rejects if it cannot be started; then nothing is left running. */
export async function launch(
  settings: Settings,
  options: LaunchOptions = {},
): Promise<Pick<Pooler, 'addresses' | 'httpAddresses' | 'control' | 'stop' | 'stopped'>> {
  const { workers } = settings.general
  const count = workers === 'auto' ? usableCores() : workers
  if (count > 1) return startFleet(settings, count, options)
  const pooler = await startPooler(settings, options)
  keepYoungGenerationAsItIs()
  return pooler
}
