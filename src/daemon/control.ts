/** Carries out the commands of the console and of signals in this process. */

import type { Log } from '../base/log.ts'
import type { Sessions } from '../client/sessions.ts'
import type { Names } from '../net/names/names.ts'
import type { Pool } from '../pool/pool.ts'
import { PoolerError } from '../problems.ts'
import type { Server } from '../server/server.ts'
import { SERVER_STATES } from '../server/states.ts'
import { CONSOLE_NAMES } from '../settings/logging-in.ts'
import type { Control, ShutdownMode } from '../workers/control.ts'
import type { Applier } from './apply.ts'
import type { Conditions } from './conditions.ts'
import type { Database } from './database.ts'
import type { Databases } from './databases.ts'
import { issued, restartNobody } from './fleet-control.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { ServiceManager } from './service-manager.ts'
import type { Suspension } from './suspension.ts'

export interface LocalControlParts {
  readonly log: Log
  /** False in a worker: the primary logs the commands. */
  readonly logsCommands: boolean
  readonly applier: Applier
  readonly databases: Databases
  readonly sessions: Sessions
  /** Checked whenever a server is closed. */
  readonly conditions: Conditions
  readonly lifecycle: Lifecycle
  readonly suspension: Suspension
  readonly names: Names
  /** Called when a shutdown has begun, with the mode. */
  onShutdown(mode: ShutdownMode): void
  readonly serviceManager: ServiceManager
}

export class LocalControl implements Control {
  readonly #parts: LocalControlParts

  constructor(parts: LocalControlParts) {
    this.#parts = parts
  }

  async reload(): Promise<void> {
    const { applier, serviceManager } = this.#parts
    this.#log('RELOAD')
    serviceManager.reloading()
    try {
      applier.apply(applier.readAgain())
    } finally {
      serviceManager.ready()
    }
  }

  async set(key: string, value: string): Promise<void> {
    const { applier } = this.#parts
    applier.apply(applier.readSet(key, value))
  }

  async pause(name: string | null): Promise<void> {
    const { databases, conditions } = this.#parts
    const database = this.#findOrAll(name, 'pause')
    this.#refuseWhileEnding()
    if (this.#parts.suspension.isOn) throw new PoolerError('already-suspended')
    this.#log('PAUSE', database)
    databases.setPaused(database, true)
    await conditions.until(() => {
      this.#refuseWhileEnding()
      if (!(database ?? databases).isPaused) throw new PoolerError('pause-ended')
      return databases.pools(database).every(({ connected }) => connected === 0)
    })
  }

  async suspend(owner: number): Promise<void> {
    const { databases, suspension } = this.#parts
    this.#refuseWhileEnding()
    if (databases.isPaused || suspension.isOn) throw new PoolerError('already-suspended')
    if (databases.areSomePaused) throw new PoolerError('suspended-while-paused')
    this.#log('SUSPEND')
    await suspension.begin(owner)
  }

  async endSuspension(owner: number): Promise<void> {
    this.#parts.suspension.endOf(owner)
  }

  async resume(name: string | null): Promise<void> {
    const { databases, conditions, suspension } = this.#parts
    // The console is never paused.
    if (name !== null && CONSOLE_NAMES.includes(name)) throw new PoolerError('database-not-paused', { database: name })
    const database = this.#findOrAll(name, 'resume')
    this.#refuseWhileEnding()
    if (database === null && suspension.isOn) {
      this.#log('RESUME')
      suspension.end()
      return
    }
    if (!(database ?? databases).isPaused)
      throw database
        ? new PoolerError('database-not-paused', { database: database.name })
        : new PoolerError('not-paused')
    this.#log('RESUME', database)
    databases.setPaused(database, false)
    conditions.check()
  }

  async kill(name: string | null): Promise<void> {
    const { databases } = this.#parts
    const database = this.#findOrAll(name, 'kill')
    this.#refuseWhileEnding()
    this.#log('KILL', database)
    const doomed = databases.pools(database).flatMap(serversIn)
    databases.kill(database)
    await this.#closed(doomed)
  }

  async disable(name: string): Promise<void> {
    const database = this.#find(name, 'disable')
    this.#log('DISABLE', database)
    database.isDisabled = true
  }

  async enable(name: string): Promise<void> {
    const database = this.#find(name, 'enable')
    this.#log('ENABLE', database)
    database.isDisabled = false
  }

  async reconnect(name: string | null): Promise<void> {
    const database = this.#findOrAll(name, 'reconnect')
    this.#log('RECONNECT', database)
    this.#parts.names.doubt()
    for (const pool of this.#parts.databases.pools(database)) pool.reconnect()
  }

  async waitClose(name: string | null): Promise<void> {
    const { databases } = this.#parts
    const database = this.#findOrAll(name, 'wait in')
    const servers = databases.pools(database).flatMap(serversIn)
    await this.#closed(servers.filter(({ condemned }) => condemned !== null))
  }

  #closed(servers: readonly Server[]): Promise<void> {
    const open = new Set(servers)
    return this.#parts.conditions.until(() => {
      for (const server of open) if (server.state === 'closed') open.delete(server)
      return open.size === 0
    })
  }

  async killClient(id: number): Promise<boolean> {
    for (const session of this.#parts.sessions) {
      // Skip sessions that are already ending and only wait for their client to close.
      if (session.id !== id || !session.isOpen) continue
      session.end(new PoolerError('client-killed'))
      return true
    }
    return false
  }

  restartWorkers(): Promise<void> {
    return restartNobody()
  }

  async shutdown(mode: ShutdownMode): Promise<void> {
    // The shutdown waits for clients or servers, which cannot make progress while suspended.
    if (this.#parts.suspension.isOn) this.#parts.suspension.end()
    this.#parts.lifecycle.shutdown(mode)
    this.#parts.onShutdown(mode)
  }

  /** @param verb names the command in the error for the console's own database */
  #find(name: string, verb: string): Database {
    if (CONSOLE_NAMES.includes(name)) throw new PoolerError('console-own-database', { verb, database: name })
    const database = this.#parts.databases.find(name)
    if (database === null) throw new PoolerError('console-no-database', { database: name })
    return database
  }

  #refuseWhileEnding(): void {
    if (this.#parts.lifecycle.isEnding) throw new PoolerError('shutting-down')
  }

  #findOrAll(name: string | null, verb: string): Database | null {
    return name === null ? null : this.#find(name, verb)
  }

  #log(command: string, database: Database | null = null): void {
    if (this.#parts.logsCommands) this.#parts.log.info(issued(command, database?.name))
  }
}

function serversIn(pool: Pool): Server[] {
  return SERVER_STATES.flatMap((state) => [...pool.servers(state)])
}
