/** Builds a fleet: a primary here that serves no clients, and workers as processes of their own. */

import { fileURLToPath } from 'node:url'
import { type Clock, SystemClock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Address } from '../net/channel.ts'
import { startJanitor } from '../pool/janitor.ts'
import type { Settings } from '../settings/load.ts'
import { VERSION } from '../version.ts'
import type { Control } from '../workers/control.ts'
import { Primary } from '../workers/primary.ts'
import { SpawnedWorker } from '../workers/spawn.ts'
import { maxClients } from './client-limits.ts'
import { openEntrance } from './entrance.ts'
import { openLog } from './open-log.ts'
import { permitSizes } from './pool-settings.ts'
import { StatsLog } from './stats-log.ts'

export interface StartFleetOptions {
  readonly isQuiet?: boolean
  readonly log?: Log
  readonly clock?: Clock
  /** The program of a worker, where it is not the compiled one beside this file. */
  readonly workerProgram?: string
}

/** What a worker is told to do; see `daemon/work.ts`. */
export interface Work {
  readonly settings: Settings
  readonly isQuiet: boolean
  /** Where the primary accepts clients. */
  readonly addresses: readonly Address[]
}

export interface RunningFleet {
  readonly addresses: readonly Address[]
  readonly primary: Primary
  readonly control: Control
  stop(): Promise<void>
  readonly stopped: Promise<void>
}

/** Rejects if an address cannot be listened on, or no worker starts; then nothing is left running. */
export async function startFleet(
  settings: Settings,
  workers: number,
  options: StartFleetOptions = {},
): Promise<RunningFleet> {
  const { general } = settings
  const clock = options.clock ?? new SystemClock()
  const isQuiet = options.isQuiet ?? false
  const { log, close: closeLog } = options.log
    ? { log: options.log, close: () => {} }
    : openLog(general, clock, isQuiet)
  const program = options.workerProgram ?? fileURLToPath(new URL('../cli/worker.js', import.meta.url))
  const keepAlive = { isOn: general.tcp_keepalive, idleMs: general.tcp_keepidle }

  const listeners = await openEntrance(general, keepAlive, (message, socket) => {
    const worker = primary.nextInTurn()
    if (worker === null) socket.destroy()
    else (worker.process as SpawnedWorker).handOver(message, socket)
  })
  const addresses = listeners.map(({ address }) => address)
  const primary: Primary = new Primary({
    clock,
    log,
    workers,
    work: (): Work => ({ settings, isQuiet, addresses }),
    maxClients: (claim) => maxClients(settings, claim),
    sizesOf: (kind, database, user) => permitSizes(settings, kind, database, user),
    later: (ms, work) => setTimeout(work, ms),
    silenceMs: () => general.worker_timeout,
    spawn: (listener) => new SpawnedWorker({ program, descriptors: [] }, listener),
  })
  const statsLog = new StatsLog({
    clock,
    log,
    periodMs: () => general.stats_period,
    isLogged: () => general.log_stats,
    endPeriod: () => primary.endPeriod(),
  })
  const janitor = startJanitor(() => {
    clock.refresh()
    primary.sweep()
    statsLog.sweep()
  })
  let finish = () => {}
  const stopped = new Promise<void>((resolve) => {
    finish = resolve
  })
  let isStopping = false

  async function stop(): Promise<void> {
    if (isStopping) return stopped
    isStopping = true
    log.info('shutting down')
    for (const listener of listeners) listener.close()
    await primary.stop()
    janitor.stop()
    closeLog()
    finish()
    return stopped
  }

  try {
    await primary.start()
  } catch (problem) {
    await stop()
    throw problem
  }
  for (const { host, port } of addresses) log.info(`listening on ${host}:${port}`)
  log.info(`process up: pgweir ${VERSION}, ${workers} workers`)
  const control: Control = {
    ...primary.control,
    async shutdown() {
      stop()
    },
  }
  return { addresses, primary, control, stop, stopped }
}
