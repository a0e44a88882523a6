/** The end of a fleet: at once, or once the workers have come to their own. */

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
  /** Lets go of what is left when no worker is. */
  close(): void
}

type State = 'serving' | 'draining' | 'stopping' | 'stopped'

export class FleetEnding {
  readonly #parts: FleetEndingParts
  #state: State = 'serving'
  #mode: ShutdownMode | null = null
  #finish = () => {}
  /** Resolves when it is over, whoever ended it. */
  readonly stopped: Promise<void>

  constructor(parts: FleetEndingParts) {
    this.#parts = parts
    this.stopped = new Promise((resolve) => {
      this.#finish = resolve
    })
  }

  /** Begins the end. It cannot be taken back, only hastened. */
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
    // Whoever has asked for it on a worker's console is answered first.
    setImmediate(() => {
      // Each worker ends by itself.
      primary()
        .everywhere({ name: 'shutdown', args: [mode] })
        .catch(() => {})
      primary()
        .ended()
        .then(() => this.#close())
    })
  }

  /** Ends it now: clients are told so, and what runs is cancelled. */
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
    // Whoever waited for clients or servers has come to the end without another word.
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
