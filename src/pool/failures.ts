/** What a pool knows about failed logins to its servers: how long to wait before the next attempt, and what to tell waiting clients. */

import { PoolerError } from '../problems.ts'
import { asFatal, type Notice } from '../wire/notices.ts'

/** One login: when it began and when it failed. */
export interface Attempt {
  readonly startedMs: number
  readonly nowMs: number
}

export class Failures {
  readonly #concernsFew: boolean
  /** How many attempts in a row have failed. */
  #count = 0
  /** When the last counted attempt failed. */
  #failedMs = -Infinity
  #last: Notice | null = null
  #retryAtMs = 0
  #recentUntilMs = 0
  /** True while other processes are being asked whether they have servers for the pool's clients: see `question`. */
  #isInQuestion = false
  /** Another host is tried next, about which the last failure says nothing. */
  #isOld = false

  /**
   * @param concernsFew servers are opened with settings that some clients have asked for, which may be why they fail. Those clients receive the
   * server's own error
   */
  constructor(concernsFew = false) {
    this.#concernsFew = concernsFew
  }

  /**
   * Notes a failed login. Several servers may be opened at a time, so attempts that began before the last counted failure belong to the same
   * try. Otherwise a moment's outage would count ten times and be followed by the pause for a long one.
   *
   * @param maxDelayMs the setting `server_login_retry`
   * @param chance from 0 to 1
   */
  failed(problem: Notice, { startedMs, nowMs }: Attempt, maxDelayMs: number, chance: number): void {
    this.#last = problem
    this.#isOld = false
    if (startedMs <= this.#failedMs) return
    this.#count++
    this.#failedMs = nowMs
    const delayMs = retryDelayMs(this.#count, maxDelayMs, chance)
    this.#retryAtMs = nowMs + delayMs
    this.#recentUntilMs = nowMs + delayMs * RECENT
  }

  /**
   * One host has failed, and another is tried at once. The errors of earlier attempts do not count meanwhile, unless the pool is cooling down
   * because all hosts have just failed.
   */
  triesAnother(nowMs: number): void {
    if (!this.isCoolingDown(nowMs)) this.#isOld = true
  }

  /** `server_login_retry` has changed: the next attempt is no further away than the new value. */
  shorten(nowMs: number, maxDelayMs: number): void {
    this.#retryAtMs = Math.min(this.#retryAtMs, nowMs + Math.max(maxDelayMs, FIRST_RETRY_MS))
  }

  /** While other processes are being asked whether they have servers for the pool's clients, new clients are not refused. */
  question(isInQuestion: boolean): void {
    this.#isInQuestion = isInQuestion
  }

  /** Forgets all failures: a login has worked, or the next one may. */
  forget(): void {
    this.#count = 0
    this.#failedMs = -Infinity
    this.#last = null
    this.#isOld = false
    this.#retryAtMs = 0
    this.#recentUntilMs = 0
  }

  /** Whether it is too early for the next attempt. */
  isCoolingDown(nowMs: number): boolean {
    return nowMs < this.#retryAtMs
  }

  /** Whether the failures must still be remembered: if the next attempt fails too, it counts as one more in a row. */
  areRecent(nowMs: number): boolean {
    return nowMs < this.#recentUntilMs
  }

  /**
   * Whether the last failure was one of reaching the server: it did not answer, or answered only that it is starting up or shutting down. A
   * refused login does not count.
   */
  get areOfReaching(): boolean {
    const last = this.#last
    if (last === null) return false
    return last instanceof PoolerError ? last.kind === 'server-login-failing' : last.sqlstate === STARTING_UP
  }

  /** The server's own error, for clients that waited for the login that has just failed; null if they should keep waiting. */
  get forWaiting(): Notice | null {
    return this.#isHopeless() ? asFatal(this.#last as Notice) : null
  }

  /** The same error for clients that come before the next attempt, with the setting that decides about the delay; null if they may wait. */
  forNewcomers(nowMs: number): Notice | null {
    if (!this.#isHopeless() || !this.isCoolingDown(nowMs) || this.#isInQuestion) return null
    const last = this.#last as Notice
    if (this.#concernsFew) return asFatal(last)
    return last instanceof PoolerError ? last : new PoolerError('server-login-failing', { error: last.message })
  }

  #isHopeless(): boolean {
    return this.#last !== null && !this.#isOld && this.#last.sqlstate !== STARTING_UP
  }
}

/** cannot_connect_now: the server is starting up or shutting down. It will be back, so clients wait. */
const STARTING_UP = '57P03'

/** A pool that is otherwise unused is kept for this many retry delays after a failure, so that the failure is remembered. */
const RECENT = 10

/** The first delay after a failed login. It doubles up to `server_login_retry`, which cannot make it shorter. */
const FIRST_RETRY_MS = 100

/**
 * Returns how long to wait before the next attempt, after `failures` failed logins in a row.
 *
 * @param chance from 0 to 1: spreads the retries of many pools
 */
export function retryDelayMs(failures: number, maxMs: number, chance: number): number {
  const fullMs = Math.min(Math.max(maxMs, FIRST_RETRY_MS), FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 30))
  return fullMs * (0.5 + chance / 2)
}
