/** Hands idle servers of one pool to waiters that have left its queue: gives the server the waiter's settings, then begins the lease. */

import { afterEvent, type Follower } from '../base/after-event.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { Lru } from '../base/lru.ts'
import { PoolerError } from '../problems.ts'
import type { Server } from '../server/server.ts'
import { asFatal, type Notice } from '../wire/notices.ts'
import type { Counters, Durations } from './counters.ts'
import type { Waiter } from './lease.ts'

/** The pool. */
export interface HandoverOwner {
  readonly counters: Counters
  readonly durations: Durations
  /** Ends a lease that the waiter gave up before it was notified of it. */
  release(server: Server): void
  /** The server was lost before the lease began. The waiter wants another one and keeps its place. */
  queueAgain(waiter: Waiter): void
}

/** How many values of settings are remembered as clients write them, together with the way Postgres writes them. */
const KNOWN_SPELLINGS = 1_000

/** How many times in a row a waiter is queued again after setting its settings was interrupted. */
const MAX_ALIGN_FAILURES = 3

export class Handover implements Follower<Server> {
  readonly #owner: HandoverOwner
  readonly #clock: Clock
  readonly #log: Log
  readonly #canonical = new Lru<string, string>(KNOWN_SPELLINGS)
  #alignFailures = 0

  constructor(owner: HandoverOwner, clock: Clock, log: Log) {
    this.#owner = owner
    this.#clock = clock
    this.#log = log
  }

  /** Returns `value` as Postgres writes it when it reports the setting; undefined if that is not known yet. */
  canonical(name: string, value: string): string | undefined {
    return this.#canonical.get(`${name}=${value}`)
  }

  /**
   * Lends the server to a waiter whose call of `Pool.lease` is still running, if the server has the wanted settings already. Returns whether it
   * did.
   */
  lendIfFits(server: Server, waiter: Waiter): boolean {
    if (server.settings.changesTo(waiter.wantedProfile) !== null) return false
    this.#lend(server, waiter)
    return true
  }

  /** Gives an idle server to a waiter that has left the queue: at once, or after setting the waiter's settings. */
  give(server: Server, waiter: Waiter): void {
    const changes = server.settings.changesTo(waiter.wantedProfile)
    if (changes === null) {
      this.#grant(server, waiter)
      return
    }
    waiter.promised = server
    server.align(
      changes,
      (error, values) => {
        for (const { name, value } of changes) {
          const canonical = values.get(name)
          if (value !== null && canonical !== undefined) this.#canonical.set(`${name}=${value}`, canonical)
        }
        if (waiter.promised !== server) server.finishAligning()
        else if (error === null) {
          this.#alignFailures = 0
          this.#grant(server, waiter)
        } else this.#alignFailed(server, waiter, error)
      },
      () => {
        if (waiter.promised === server) this.#giveBack(waiter)
      },
    )
  }

  #lend(server: Server, waiter: Waiter): void {
    const { counters, durations } = this.#owner
    const waitedMs = this.#clock.nowMs - waiter.waitingSinceMs
    counters.serverAssignments++
    counters.waitUs += waitedMs * 1000
    durations.wait.note(waitedMs)
    waiter.promised = null
    server.lend(waiter)
  }

  /**
   * Begins a lease for a waiter that has been waiting. The waiter is notified after the current event: what it then sends must not mix with the
   * work that freed the server, and serving a thousand waiters must not nest a thousand calls.
   */
  #grant(server: Server, waiter: Waiter): void {
    this.#lend(server, waiter)
    waiter.promised = server
    afterEvent(this, server)
  }

  onEventOver(server: Server): void {
    // Null if the server has been closed since: closing it clears its tenant.
    const waiter = server.tenant as Waiter | null
    if (waiter === null) return
    try {
      if (waiter.promised === server) {
        waiter.promised = null
        waiter.onGranted(server)
      } else this.#owner.release(server)
    } catch (error) {
      this.#log.error(`internal error: ${error instanceof Error ? error.stack : String(error)}`, server.logFields)
      server.close('internal error', new PoolerError('internal-error'))
    }
  }

  #alignFailed(server: Server, waiter: Waiter, error: Notice): void {
    // SQLSTATE class 57: a timeout, or a cancel request that was meant for the last client. The settings themselves are not at fault.
    if (error.sqlstate.startsWith('57') && ++this.#alignFailures <= MAX_ALIGN_FAILURES) {
      this.#giveBack(waiter)
      server.close('settings could not be changed')
      return
    }
    waiter.promised = null
    server.finishAligning()
    waiter.onRefused(asFatal(error))
  }

  #giveBack(waiter: Waiter): void {
    waiter.promised = null
    this.#owner.queueAgain(waiter)
  }
}
