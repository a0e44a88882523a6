/** SUSPEND: all that was said is delivered, and then nobody is read any more; connections stay, and go on when it is over. */

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
  /** Nobody is read; what was said is still being taken. */
  flushing: ['suspended', 'none'],
  suspended: ['none'],
}

export interface SuspensionParts {
  readonly clock: Clock
  readonly sessions: Sessions
  readonly pools: Pools
  /** Told when it is over. */
  readonly conditions: Conditions
  /** `suspend_timeout`: whoever has not taken all by then is dropped. */
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

  /** What clients and servers have said may not have been read, up to the second time that the janitor comes by after the end. */
  get leavesUnread(): boolean {
    return this.isOn || this.#hasJustEnded
  }

  /** @param owner the id of the console that wants it: it ends with that one */
  async begin(owner: number): Promise<void> {
    const { clock, sessions, pools, conditions } = this.#parts
    this.#enter('flushing')
    this.#owner = owner
    this.#sinceMs = clock.nowMs
    // Those who are logging in go on until they are in: one of them may come to end this.
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

  /** That console has gone away. */
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

/** It is in, and has not taken all that was said to it. */
function isHeldUp({ relay, isOpen, channel }: Session): boolean {
  return relay !== null && isOpen && channel.owedBytes > 0
}

function owes({ isOver, owedBytes }: Server): boolean {
  return !isOver && owedBytes > 0
}
