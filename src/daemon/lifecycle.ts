/** The life of one pooler from when it serves clients to its end: at once, or once those who are there have what they came for. */

import { invariant } from '../base/invariant.ts'
import type { Log } from '../base/log.ts'
import type { Sessions } from '../client/sessions.ts'
import type { Address, Listener } from '../net/channel.ts'
import { isPath } from '../net/unix-sockets.ts'
import type { Janitor } from '../pool/janitor.ts'
import type { Pools } from '../pool/pools.ts'
import { PoolerError } from '../problems.ts'
import type { CancelSender } from '../server/cancel.ts'
import type { ShutdownMode } from '../workers/control.ts'
import type { PeerCancels } from '../workers/peer-cancels.ts'
import type { Conditions } from './conditions.ts'
import type { ServiceManager } from './service-manager.ts'

export type LifecycleState = 'serving' | 'draining' | 'stopping' | 'stopped'

const MOVES: Record<LifecycleState, readonly LifecycleState[]> = {
  serving: ['draining', 'stopping'],
  /** Accepts no connections any more. */
  draining: ['stopping'],
  /** Everybody is told that it is over. */
  stopping: ['stopped'],
  stopped: [],
}

export interface LifecycleParts {
  readonly log: Log
  readonly sessions: Sessions
  readonly pools: Pools
  readonly cancels: CancelSender
  readonly peerCancels: PeerCancels
  /** Told of whatever ends. */
  readonly conditions: Conditions
  /** Sessions on the console: whoever waits for clients does not wait for these. */
  consoles(): number
  readonly serviceManager: ServiceManager
  /** Lets go of what is left when nobody is. */
  close(): void
}

/** What there is only once clients are accepted. */
interface Running {
  readonly listeners: readonly Listener[]
  readonly janitor: Janitor | null
}

/** How often it is looked whether all is over. */
const POLL_MS = 10

/** Clients that do not take our last word are not waited for longer than a channel lingers. */
const STOP_MS = 3_000

/**
 * The same for those to whom nothing is owed. Most are idle, and read only when they next have something to ask: who waited for them would be
 * away for longer. What they had sent before they could know has come by then, and unread it would make the kernel take our last word back.
 */
const LAST_WORD_MS = 500

/** How long the cancel requests for what still runs may take. */
const STOP_CANCELS_MS = 1_000

export class Lifecycle {
  readonly #parts: LifecycleParts
  #state: LifecycleState = 'serving'
  #running: Running = { listeners: [], janitor: null }
  /** What is waited for; the more impatient one counts. */
  #mode: ShutdownMode | null = null
  #isReplaced = false
  /** Listeners that still let in who is about to come. */
  #finishing = 0
  #finish = () => {}
  /** Resolves when it is over, whoever ended it. */
  readonly stopped: Promise<void>

  constructor(parts: LifecycleParts) {
    this.#parts = parts
    this.stopped = new Promise((resolve) => {
      this.#finish = resolve
    })
  }

  get state(): LifecycleState {
    return this.#state
  }

  /** It ends, and nobody takes its place. Else what goes for all clients goes for those who are still here. */
  get isEnding(): boolean {
    return this.#state !== 'serving' && !this.#isReplaced
  }

  /** Why no client is given a server any more; null while they are. */
  get lastWord(): PoolerError | null {
    return this.#mode === 'wait_for_servers' ? new PoolerError('server-shutting-down') : null
  }

  /** Why a client is not let in that comes by a socket which is still open for others. */
  refusalOf({ host }: Address): PoolerError | null {
    return this.#state !== 'serving' && isPath(host) ? new PoolerError('pooler-shutting-down') : null
  }

  serve(running: Running): void {
    this.#running = running
  }

  /**
   * Begins the end. It cannot be taken back, only hastened. Unix sockets stay open until the end: for the console, and for requests to cancel
   * what runs here, which come by way of whoever has taken the port over.
   * @param isReplaced another process accepts from the same sockets
   */
  shutdown(mode: ShutdownMode, isReplaced = false): void {
    if (mode === 'at_once') {
      this.stop()
      return
    }
    const isEndOfAll = this.#isReplaced && !isReplaced
    const isMoreUrgent = this.#mode === 'wait_for_clients' && mode === 'wait_for_servers'
    const isHastened = this.#state === 'draining' && (isEndOfAll || isMoreUrgent)
    this.#isReplaced = isReplaced && this.#state === 'serving'
    if (this.#state !== 'serving' && !isHastened) throw new PoolerError('shutting-down')
    this.#mode = mode
    const { log, pools, sessions, conditions } = this.#parts
    // Nobody has told all of them to end.
    log.info(
      isReplaced ? 'another worker takes the place of this one' : `SHUTDOWN ${mode.toUpperCase()} command issued`,
    )
    if (this.#state === 'serving') this.#enter('draining')
    for (const listener of this.#running.listeners)
      if (isReplaced) listener.close()
      else if (!isPath(listener.address.host)) this.#finishListening(listener)
    const { lastWord } = this
    if (lastWord !== null) for (const pool of pools) pool.retire(lastWord)
    // A pause that is waited for will not come to its end.
    conditions.check()
    // Whoever has asked for it is answered first.
    conditions.until(() => this.#isDrained()).then(() => setImmediate(() => this.stop()))
    const left = mode === 'wait_for_clients' ? `${this.#clients} clients` : `${total(pools)} servers`
    const waiting = `${left} are waited for, of ${sessions.count} connections`
    log.info(waiting)
    this.#parts.serviceManager.status(`ending: ${waiting}`)
  }

  #finishListening(listener: Listener): void {
    this.#finishing++
    listener.finish(() => {
      this.#finishing--
      this.#parts.conditions.check()
    })
  }

  #isDrained(): boolean {
    if (this.#finishing > 0) return false
    return this.#mode === 'wait_for_clients' ? this.#clients === 0 : total(this.#parts.pools) === 0
  }

  get #clients(): number {
    return this.#parts.sessions.count - this.#parts.consoles()
  }

  /** Ends it now: clients are told so, and what runs is cancelled. */
  async stop(): Promise<void> {
    if (this.#state === 'stopping' || this.#state === 'stopped') return this.stopped
    this.#enter('stopping')
    const { log, sessions, pools, cancels, peerCancels, serviceManager, close } = this.#parts
    log.info('shutting down')
    serviceManager.stopping()
    for (const listener of this.#running.listeners) listener.close()
    this.#running.janitor?.stop()
    const notice = new PoolerError('pooler-shutting-down')
    for (const session of sessions) session.end(notice)
    for (const pool of pools) pool.retire(notice)
    this.#parts.conditions.check()
    // Postgres would run the queries of those who were just sent away to their end.
    await pollUntil(() => cancels.inFlight + cancels.waiting + peerCancels.count === 0, STOP_CANCELS_MS)
    cancels.stop()
    peerCancels.stop()
    for (const pool of pools) pool.closeAll(notice)
    // Backends that are left behind would still count under the limits of whoever comes next.
    await pollUntil((passedMs) => areToldAll(sessions, passedMs) && isEmpty(pools), STOP_MS)
    for (const session of sessions) session.channel.destroy()
    this.#enter('stopped')
    serviceManager.close()
    close()
    this.#finish()
  }

  #enter(next: LifecycleState): void {
    invariant(MOVES[this.#state].includes(next), `the pooler cannot go from ${this.#state} to ${next}`)
    this.#state = next
  }
}

function total(pools: Pools): number {
  let servers = 0
  for (const pool of pools) servers += pool.connected
  return servers
}

function isEmpty(pools: Pools): boolean {
  for (const pool of pools) if (pool.connected > 0) return false
  return true
}

function areToldAll(sessions: Sessions, passedMs: number): boolean {
  if (passedMs < LAST_WORD_MS) return sessions.count === 0
  for (const { channel } of sessions) if (channel.owedBytes > 0) return false
  return true
}

async function pollUntil(isOver: (passedMs: number) => boolean, limitMs: number): Promise<void> {
  const beganMs = performance.now()
  const passedMs = () => performance.now() - beganMs
  while (!isOver(passedMs()) && passedMs() < limitMs) await new Promise((resolve) => setTimeout(resolve, POLL_MS))
}
