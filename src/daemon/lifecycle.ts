/** The states of one pooler from serving clients to stopped: how it drains, waiting for clients or servers, and how it stops at once. */

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
  /** Accepts no more TCP connections and waits for clients or servers to leave. */
  draining: ['stopping'],
  /** Clients receive a final error, servers are closed. */
  stopping: ['stopped'],
  stopped: [],
}

export interface LifecycleParts {
  readonly log: Log
  /** False in a worker: the primary logs the commands. */
  readonly logsCommands: boolean
  readonly sessions: Sessions
  readonly pools: Pools
  readonly cancels: CancelSender
  readonly peerCancels: PeerCancels
  /** Checked whenever something ends. */
  readonly conditions: Conditions
  /** How many sessions are on the console. `wait_for_clients` does not wait for them. */
  consoles(): number
  readonly serviceManager: ServiceManager
  /** Releases what remains when all connections are closed. */
  close(): void
}

/** The parts that exist only once clients are accepted. */
interface Running {
  readonly listeners: readonly Listener[]
  readonly janitor: Janitor | null
}

/** How often `stop` checks whether connections are closed. */
const POLL_MS = 10

/** How long `stop` waits at most for clients to take their final error and for servers to close. A channel lingers for less: `LINGER_MS`. */
const STOP_MS = 3_000

/**
 * How long `stop` waits for clients whose final error the kernel has already taken. Most are idle and read only before their next query, so
 * waiting until they close would make a restart take longer. Destroying the connection at once would be wrong, too: if a client has sent
 * something before it could know of the end, closing a socket with unread bytes makes the kernel discard our final error. By this time such
 * bytes have arrived and were read.
 */
const LAST_WORD_MS = 500

/** How long `stop` waits for the cancel requests for queries that still run. */
const STOP_CANCELS_MS = 1_000

export class Lifecycle {
  readonly #parts: LifecycleParts
  #state: LifecycleState = 'serving'
  #running: Running = { listeners: [], janitor: null }
  /** What the drain waits for; null before it begins. A later, more urgent mode replaces it. */
  #mode: ShutdownMode | null = null
  #isReplaced = false
  /** How many listeners are finishing: they still accept connections that are already in the kernel's queue. */
  #finishing = 0
  #finish = () => {}
  /** Resolves when the pooler has stopped, whatever stopped it. */
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

  /**
   * The pooler is ending and no other worker takes its place. False for a worker that is being replaced: commands that concern all clients
   * (PAUSE, KILL and others) still apply to the clients it has left.
   */
  get isEnding(): boolean {
    return this.#state !== 'serving' && !this.#isReplaced
  }

  /** The error for clients that can get no server because the pooler is ending; null while servers are given out. */
  get lastWord(): PoolerError | null {
    return this.#mode === 'wait_for_servers' ? new PoolerError('server-shutting-down') : null
  }

  /** The error for a client that arrives on a unix socket during the drain; null if it is let in. For why these sockets stay open see `shutdown`. */
  refusalOf({ host }: Address): PoolerError | null {
    return this.#state !== 'serving' && isPath(host) ? new PoolerError('pooler-shutting-down') : null
  }

  serve(running: Running): void {
    this.#running = running
  }

  /**
   * Begins to drain; `at_once` stops instead. A drain cannot be undone, only made more urgent by a second call; otherwise throws
   * 'shutting-down'. Unix sockets stay open until the end, for the console and for cancel requests for queries that still run here: the
   * process that has taken over the port passes those requests on.
   *
   * @param isReplaced another worker accepts from the same sockets
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
    const { log, logsCommands, pools, sessions, conditions } = this.#parts
    // A replacement is not a SHUTDOWN, so do not log it as one.
    if (isReplaced) log.info('this worker is being replaced by another one')
    else if (logsCommands) log.info(`SHUTDOWN ${mode.toUpperCase()} command issued`)
    if (this.#state === 'serving') this.#enter('draining')
    for (const listener of this.#running.listeners)
      if (isReplaced) listener.close()
      else if (!isPath(listener.address.host)) this.#finishListening(listener)
    const { lastWord } = this
    if (lastWord !== null) for (const pool of pools) pool.retire(lastWord)
    // Lets a PAUSE that is waiting for servers fail with 'shutting-down'.
    conditions.check()
    // setImmediate, so that the console session that sent SHUTDOWN gets its answer before it is closed.
    conditions.until(() => this.#isDrained()).then(() => setImmediate(() => this.stop()))
    const left = mode === 'wait_for_clients' ? this.#clients : total(pools)
    const waiting =
      mode === 'wait_for_clients'
        ? `waiting for ${counted(left, 'client')}`
        : `waiting for ${counted(left, 'server')}; ${counted(sessions.count, 'client connection')} open`
    if (left > 0) log.info(waiting)
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

  /** Stops now: clients receive an error, and running queries are canceled. */
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
    // Wait for the cancel requests. Otherwise Postgres would run the queries of the disconnected clients to completion.
    await pollUntil(() => cancels.inFlight + cancels.waiting + peerCancels.count === 0, STOP_CANCELS_MS)
    cancels.stop()
    peerCancels.stop()
    for (const pool of pools) pool.closeAll(notice)
    // Wait for the servers to close. Backends left behind would still count toward the connection limits that the next pooler faces.
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

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
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
