/** Runs a pooler of several worker processes, with the primary in this process. `npm test` builds their program before the tests run. */

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { startFleet } from '../../../src/daemon/start-fleet.ts'
import type { Loaded } from '../../../src/settings/load.ts'
import type { Primary } from '../../../src/workers/primary.ts'
import type { Running } from './running.ts'
import { until } from './until.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const WORKER_PROGRAM = join(ROOT, 'dist/cli/worker.js')

export interface RunningWorkers extends Running {
  readonly primary: Primary
}

/** The settings must name a `logfile`, since each process writes to the log itself. */
export async function startWorkers(load: () => Loaded, workers: number): Promise<RunningWorkers> {
  refuseOldBuild()
  const { settings } = load()
  const { logfile } = settings.general
  if (logfile === '') throw new Error('worker processes are tested with a logfile')
  const running = await startFleet(settings, workers, { isQuiet: true, workerProgram: WORKER_PROGRAM, load })
  const { primary } = running
  /** The processes of all workers that were ever seen. */
  const pids = new Set<number>()
  const countPids = async () => {
    for (const { pid } of await primary.workers()) pids.add(pid)
  }
  await countPids()
  return {
    primary,
    addresses: running.addresses,
    httpAddresses: running.httpAddresses,
    fleet: primary,
    get log() {
      const text = readFileSync(logfile, 'utf8')
      return text === '' ? [] : text.trimEnd().split('\n')
    },
    async stop() {
      await countPids()
      await running.stop()
    },
    stopped: running.stopped,
    sweep() {
      throw new Error('workers look at their deadlines by themselves')
    },
    async expectIdle() {
      let servers = 0
      // The return of a permit is noted a moment after its server has gone.
      await until('each permit has its server', async () => {
        ;({ servers } = await primary.lists())
        return primary.permits.held === servers
      })
      for (const limit of primary.permits.limits) expect(limit.surplus, `too many under ${limit.name}`).toBe(0)
    },
    expectGone() {
      expect(primary.permits.held, 'permits after the end').toBe(0)
      for (const pid of pids) expect(isRunning(pid), `worker ${pid} after the end`).toBe(false)
    },
  }
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

let isBuildNew = false

/** Throws if the build is older than `src`: the tests would run other code than the one under test. */
function refuseOldBuild(): void {
  if (isBuildNew) return
  const built = statSync(WORKER_PROGRAM, { throwIfNoEntry: false })
  for (const file of readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue
    if (built === undefined || built.mtimeMs < statSync(join(ROOT, 'src', file)).mtimeMs)
      throw new Error(`worker processes run what is in dist, and src/${file} is newer: npm run build`)
  }
  isBuildNew = true
}
