/** What the console and signals may have done by all workers of a fleet. */

import { processOf } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import { PoolerError } from '../problems.ts'
import { databaseFor } from '../settings/load.ts'
import { type Control, type ControlCall, passedOn, type ShutdownMode } from '../workers/control.ts'
import { StandingOrders } from '../workers/standing-orders.ts'
import type { Applier, Prepared } from './apply.ts'
import type { ServiceManager } from './service-manager.ts'

export interface FleetControlParts {
  readonly log: Log
  /** Of the primary's own settings. */
  readonly applier: Applier
  /** Has every worker do it; resolves when all have, rejects with the first error. */
  everywhere(call: ControlCall): Promise<readonly unknown[]>
  /** Statistics of other databases are forgotten with them. */
  keepStats(isThere: (database: string) => boolean): void
  /** Has every worker take over settings that were found to be good. */
  apply(prepared: Prepared): Promise<void>
  /** Begins it; whoever asks may be one of those who have to leave. */
  restart(): void
  shutdown(mode: ShutdownMode): Promise<void>
  readonly serviceManager: ServiceManager
}

/** What is done by one call for all databases, and by the workers that are yet to come. */
export interface FleetControl {
  readonly control: Control
  readonly standing: StandingOrders
  /** The consoles of that worker are gone. */
  workerGone(number: number): void
}

export function fleetControl(parts: FleetControlParts): FleetControl {
  const { log, applier, everywhere, keepStats, apply, restart, shutdown, serviceManager } = parts
  const standing = new StandingOrders()
  let changing = Promise.resolve()

  /** One after the other: each begins with what the one before has left. */
  function change(prepare: () => Prepared, onRefused = async () => {}): Promise<void> {
    const done = changing.then(async () => {
      let prepared: Prepared
      try {
        prepared = prepare()
      } catch (problem) {
        await onRefused()
        throw problem
      }
      applier.apply(prepared)
      const isThere = (database: string) => databaseFor(prepared.settings, database) !== null
      standing.keep(isThere)
      keepStats(isThere)
      await apply(prepared)
    })
    changing = done.catch(() => {})
    return done
  }

  const byAll = passedOn(async (call) => {
    // A worker that starts while the others are at it has to hear of it, too.
    standing.note(call)
    try {
      const answers = await everywhere(call)
      standing.done(call)
      return answers.includes(true)
    } catch (problem) {
      standing.forget(call)
      throw problem
    }
  })
  const control: Control = {
    ...byAll,
    reload() {
      log.info('RELOAD command issued')
      serviceManager.reloading()
      // All processes write to the log's file, which may have been moved away.
      const goOn = () => apply(applier.unchanged)
      return change(() => applier.readAgain(), goOn).finally(() => serviceManager.ready())
    },
    set: (key, value) => change(() => applier.readSet(key, value)),
    async restartWorkers() {
      restart()
      log.info('RESTART WORKERS command issued')
    },
    shutdown,
  }
  function workerGone(number: number): void {
    for (const { name, args } of [...standing])
      if (name === 'suspend' && processOf(args[0]) === number) control.endSuspension(args[0]).catch(() => {})
  }

  return { control, standing, workerGone }
}

/** Where there is one process, there is nobody to take its place. */
export async function restartNobody(): Promise<never> {
  throw new PoolerError('no-workers')
}
