/** SUSPEND: stops reading from clients and servers and delivers what was read before. Connections stay open and continue after RESUME. */

import type { Clock } from '../base/clock.ts'
import { invariant } from '../base/invariant.ts'
import type { Session } from '../client/session.ts'
import type { Sessions } from '../client/sessions.ts'
import type { Pools } from '../pool/pools.ts'
import { PoolerError } from '../problems.ts'
import type { Server } from '../server/server.ts'
import { SERVER_STATES } from '../server/states.ts'
import type { Conditions } from './conditions.ts'

type State = 'none' | 'flushing' | 'suspended'

const MOVES: Record<State, readonly State[]> = {
  none: ['flushing'],
  /** Nothing is read; bytes that were read before are still being delivered. */
  flushing: ['suspended', 'none'],
  suspended: ['none'],
}

export interface SuspensionParts {
  readonly clock: Clock
  readonly sessions: Sessions
  readonly pools: Pools
  /** Checked when the suspension ends. */
  readonly conditions: Conditions
  /** `suspend_timeout`: connections that have not taken everything by then are closed. */
  timeoutMs(): number
}

export class Suspension {
  readonly #parts: SuspensionParts
  #state: State = 'none'
  #owner = 0
  #sinceMs = 0
  #hasJustEnded = false

  constructor(parts: SuspensionParts) {
    this.#parts = parts
  }

  get isOn(): boolean {
    return this.#state !== 'none'
  }

  /**
   * Whether bytes from clients and servers may have gone unread, so that timeouts must not count. True during the suspension and for the
   * janitor's first sweep after it.
   */
  get leavesUnread(): boolean {
    return this.isOn || this.#hasJustEnded
  }

  /** @param owner the id of the console session; the suspension ends when that session ends */
  async begin(owner: number): Promise<void> {
    const { clock, sessions, pools, conditions } = this.#parts
    this.#enter('flushing')
    this.#owner = owner
    this.#sinceMs = clock.nowMs
    // Clients that are logging in are read until they have logged in: one of them may be a console that will send RESUME.
    for (const session of sessions) session.suspend(true)
    for (const pool of pools) pool.suspend(true)
    await conditions.until(() => {
      if (this.#state === 'none') throw new PoolerError('suspension-ended')
      if (this.#state === 'flushing' && this.#isFlushed()) this.#enter('suspended')
      return this.#state === 'suspended'
    })
  }

  end(): void {
    const { sessions, pools, conditions } = this.#parts
    this.#enter('none')
    this.#hasJustEnded = true
    for (const pool of pools) pool.suspend(false)
    for (const session of sessions) session.suspend(false)
    conditions.check()
  }

  /** Called when the console session `owner` has gone. */
  endOf(owner: number): void {
    if (this.isOn && this.#owner === owner) this.end()
  }

  /** Called by the janitor. */
  sweep(): void {
    this.#hasJustEnded = false
    if (this.#state !== 'flushing') return
    const { clock, conditions, timeoutMs } = this.#parts
    if (clock.nowMs - this.#sinceMs >= timeoutMs()) this.#dropRest()
    conditions.check()
  }

  #dropRest(): void {
    const notice = new PoolerError('suspend-timeout')
    for (const server of this.#servers()) if (owes(server)) server.close(notice.message, notice)
    for (const session of this.#parts.sessions) if (isHeldUp(session)) session.end(notice)
  }

  #isFlushed(): boolean {
    for (const session of this.#parts.sessions) if (isHeldUp(session)) return false
    for (const server of this.#servers()) if (owes(server)) return false
    return true
  }

  *#servers(): Generator<Server> {
    for (const pool of this.#parts.pools) for (const state of SERVER_STATES) yield* pool.servers(state)
  }

  #enter(next: State): void {
    invariant(MOVES[this.#state].includes(next), `the pooler cannot go from ${this.#state} to ${next}`)
    this.#state = next
  }
}

/** Whether the client has logged in and has not taken all bytes written to it. */
function isHeldUp({ relay, isOpen, channel }: Session): boolean {
  return relay !== null && isOpen && channel.owedBytes > 0
}

function owes({ isOver, owedBytes }: Server): boolean {
  return !isOver && owedBytes > 0
}
