/** Ends a fleet: at once, or once every worker has drained and ended by itself. */

import type { Log } from '../base/log.ts'
import { PoolerError } from '../problems.ts'
import type { ShutdownMode } from '../workers/control.ts'
import type { Primary } from '../workers/primary.ts'
import type { ServiceManager } from './service-manager.ts'

export interface FleetEndingParts {
  readonly log: Log
  primary(): Primary
  /** Unix sockets stay open until the end: see `Lifecycle.shutdown`. */
  stopListeningByTcp(): void
  stopListening(): void
  readonly serviceManager: ServiceManager
  /** Releases what remains when no worker is left. */
  close(): void
}

type State = 'serving' | 'draining' | 'stopping' | 'stopped'

export class FleetEnding {
  readonly #parts: FleetEndingParts
  #state: State = 'serving'
  #mode: ShutdownMode | null = null
  #finish = () => {}
  /** Resolves when the fleet has stopped, whatever stopped it. */
  readonly stopped: Promise<void>

  constructor(parts: FleetEndingParts) {
    this.#parts = parts
    this.stopped = new Promise((resolve) => {
      this.#finish = resolve
    })
  }

  /** Begins to drain; `at_once` stops instead. A drain cannot be undone, only made more urgent; otherwise throws 'shutting-down'. */
  shutdown(mode: ShutdownMode): void {
    if (mode === 'at_once') {
      this.stop()
      return
    }
    const isHastened = this.#state === 'draining' && this.#mode === 'wait_for_clients' && mode === 'wait_for_servers'
    if (this.#state !== 'serving' && !isHastened) throw new PoolerError('shutting-down')
    this.#mode = mode
    this.#state = 'draining'
    const { log, stopListeningByTcp, primary, serviceManager } = this.#parts
    serviceManager.status(`ending: SHUTDOWN ${mode.toUpperCase()}`)
    log.info(`SHUTDOWN ${mode.toUpperCase()} command issued`)
    stopListeningByTcp()
    primary().beginEnd()
    // setImmediate, so that the console session on a worker that sent SHUTDOWN gets its answer first.
    setImmediate(() => {
      // Each worker drains and ends by itself.
      primary()
        .everywhere({ name: 'shutdown', args: [mode] })
        .catch(() => {})
      primary()
        .ended()
        .then(() => this.#close())
    })
  }

  /** Stops now: clients receive an error, and running queries are canceled. */
  async stop(): Promise<void> {
    if (this.#state === 'stopping' || this.#state === 'stopped') return this.stopped
    this.#state = 'stopping'
    const { log, stopListening, primary, serviceManager } = this.#parts
    log.info('shutting down')
    serviceManager.stopping()
    stopListening()
    await primary().stop()
    this.#close()
    return this.stopped
  }

  #close(): void {
    if (this.#state === 'stopped') return
    const { serviceManager } = this.#parts
    // The drain has ended by itself, without a call of `stop`, so these steps are still to do.
    if (this.#state === 'draining') {
      serviceManager.stopping()
      this.#parts.stopListening()
    }
    serviceManager.close()
    this.#state = 'stopped'
    this.#parts.close()
    this.#finish()
  }
}
