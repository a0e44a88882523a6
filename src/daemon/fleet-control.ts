/** Carries out the commands of the console and of signals in all workers of a fleet. */

import { processOf } from '../base/ids.ts'
import type { Log } from '../base/log.ts'
import { PoolerError } from '../problems.ts'
import { databaseFor, removedDatabases } from '../settings/load.ts'
import { type Control, type ControlCall, passedOn, type ShutdownMode } from '../workers/control.ts'
import { StandingOrders } from '../workers/standing-orders.ts'
import type { Applier, Prepared } from './apply.ts'
import type { ServiceManager } from './service-manager.ts'

export interface FleetControlParts {
  readonly log: Log
  /** Applies the primary's own settings. */
  readonly applier: Applier
  /** Makes every worker carry out `call`. Resolves when all have done so; rejects with the first error. */
  everywhere(call: ControlCall): Promise<readonly unknown[]>
  /** Drops the statistics of databases that no longer exist, and those of `removed`, which `*` may replace. */
  keepStats(isThere: (database: string) => boolean, removed: ReadonlySet<string>): void
  /** Makes every worker apply settings that were found good. */
  apply(prepared: Prepared): Promise<void>
  /** Begins to replace the workers. Does not wait, because the console that asks may be on a worker that has to end. */
  restart(): void
  shutdown(mode: ShutdownMode): Promise<void>
  readonly serviceManager: ServiceManager
}

/** The fleet's control, and the commands that workers started later have to carry out first. */
export interface FleetControl {
  readonly control: Control
  readonly standing: StandingOrders
  /** Called when worker `number` has ended, and its console sessions with it: ends a suspension that one of them began. */
  workerGone(number: number): void
}

export function fleetControl(parts: FleetControlParts): FleetControl {
  const { log, applier, everywhere, keepStats, apply, restart, shutdown, serviceManager } = parts
  const standing = new StandingOrders()
  let changing = Promise.resolve()

  /** Changes settings, one call after the other, so that each starts from the result of the one before. `onRefused` runs if `prepare` throws. */
  function change(prepare: () => Prepared, onRefused = async () => {}): Promise<void> {
    const done = changing.then(async () => {
      let prepared: Prepared
      try {
        prepared = prepare()
      } catch (problem) {
        await onRefused()
        throw problem
      }
      const removed = removedDatabases(applier.unchanged.settings, prepared.settings)
      applier.apply(prepared)
      const isThere = (database: string) => databaseFor(prepared.settings, database) !== null
      standing.keep((database) => !removed.has(database) && isThere(database))
      keepStats(isThere, removed)
      await apply(prepared)
    })
    changing = done.catch(() => {})
    return done
  }

  const byAll = passedOn(async (call) => {
    if (LOGGED.has(call.name)) log.info(issued(call.name, call.args[0]))
    // Noted first, so that a worker that starts while the others are carrying out the call receives it, too.
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
      // If the settings are bad, workers must still reopen the log file: all processes write to it, and it may have been rotated.
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

/** The commands that all workers carry out. They are logged here once, and by no worker: one that starts later carries some out unasked. */
const LOGGED: ReadonlySet<string> = new Set(['pause', 'suspend', 'resume', 'kill', 'disable', 'enable', 'reconnect'])

/** The line in the log, as in PgBouncer. */
export function issued(command: string, database: unknown): string {
  const name = typeof database === 'string' ? ` '${database}'` : ''
  return `${command.toUpperCase()}${name} command issued`
}

/** RESTART WORKERS in a single process, which has no workers. */
export async function restartNobody(): Promise<never> {
  throw new PoolerError('no-workers')
}
