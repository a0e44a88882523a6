/** Starts the pooler with as many processes as the settings ask for. */

import { keepYoungGenerationAsItIs } from '../base/young-generation.ts'
import type { Settings } from '../settings/load.ts'
import { usableCores } from '../workers/cores.ts'
import { type Environment, findServiceManager, inheritedDescriptors } from './service-manager.ts'
import { type Pooler, type PoolerParts, type StartOptions, startPooler } from './start.ts'
import { startFleet } from './start-fleet.ts'

export interface LaunchOptions extends Pick<StartOptions, 'isQuiet' | 'load'> {
  /** Default: `process.env`. The service manager's variables are removed from it. */
  readonly env?: Environment
}

/** With one worker, this process is the pooler. Rejects if it cannot be started; nothing keeps running in that case. */
export async function launch(
  settings: Settings,
  { env = process.env, ...others }: LaunchOptions = {},
): Promise<Pick<Pooler, 'addresses' | 'httpAddresses' | 'control' | 'stop' | 'stopped'> & Pick<PoolerParts, 'log'>> {
  const { workers } = settings.general
  const options: StartOptions = {
    ...others,
    inherited: inheritedDescriptors(env),
    findServiceManager: (log) => findServiceManager(env, log),
  }
  const count = workers === 'auto' ? usableCores() : workers
  if (count > 1) return startFleet(settings, count, options)
  const pooler = await startPooler(settings, options)
  keepYoungGenerationAsItIs()
  return { ...pooler, log: pooler.parts.log }
}
