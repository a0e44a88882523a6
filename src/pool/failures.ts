/** What a pool knows of logins to its servers that have failed: how long to leave them alone, and what to tell those who wait. */

import { PoolerError } from '../problems.ts'
import { asFatal, type Notice } from '../wire/notices.ts'

/** One login: when it was begun, and when it has failed. */
export interface Attempt {
  readonly startedMs: number
  readonly nowMs: number
}

export class Failures {
  readonly #concernsFew: boolean
  /** Tries in a row. */
  #count = 0
  /** When the last one has failed that counts. */
  #failedMs = -Infinity
  #last: Notice | null = null
  #retryAtMs = 0
  #recentUntilMs = 0
  /** Somebody is asked whether there is hope nonetheless. */
  #isInQuestion = false
  /** A host is tried again of which the last failure says nothing. */
  #isOld = false

  /** @param concernsFew it may be one client's own wish that fails: whoever has the same one is told in the server's words */
  constructor(concernsFew = false) {
    this.#concernsFew = concernsFew
  }

  /**
   * Several servers may be opened at a time. What fails that was begun before another one had failed is the same try: else a moment's
   * outage would count ten times, and be followed by the pause for a long one.
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

  /** One host has failed, and another is tried at once: what is known from earlier tries does not count, unless all have only just failed. */
  triesAnother(nowMs: number): void {
    if (!this.isCoolingDown(nowMs)) this.#isOld = true
  }

  /** `server_login_retry` is another one: whoever waits for the next try waits no longer than that from now on. */
  shorten(nowMs: number, maxDelayMs: number): void {
    this.#retryAtMs = Math.min(this.#retryAtMs, nowMs + Math.max(maxDelayMs, FIRST_RETRY_MS))
  }

  /** Until it is known what there is to hope for, nobody is told anything. */
  question(isInQuestion: boolean): void {
    this.#isInQuestion = isInQuestion
  }

  /** A login has worked. */
  forget(): void {
    this.#count = 0
    this.#failedMs = -Infinity
    this.#last = null
    this.#isOld = false
    this.#retryAtMs = 0
    this.#recentUntilMs = 0
  }

  /** Nothing is tried for now. */
  isCoolingDown(nowMs: number): boolean {
    return nowMs < this.#retryAtMs
  }

  /** The next one will be counted as one more of the same, if it comes this soon. */
  areRecent(nowMs: number): boolean {
    return nowMs < this.#recentUntilMs
  }

  /** Nobody has answered, or only to say that it does not yet; a login that was refused is another matter. */
  get areOfReaching(): boolean {
    const last = this.#last
    if (last === null) return false
    return last instanceof PoolerError ? last.kind === 'server-login-failing' : last.sqlstate === STARTING_UP
  }

  /** The server's own error, for those who waited for the login that has just failed; null if they had better wait on. */
  get forWaiting(): Notice | null {
    return this.#isHopeless() ? asFatal(this.#last as Notice) : null
  }

  /** The same error for whoever comes until the next try, with the setting that decides about the delay; null if it may wait. */
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

/** cannot_connect_now: the server is starting up, or shutting down. It will be back, so clients wait. */
const STARTING_UP = '57P03'

/** For how many times the delay a failure is remembered where nothing else is worth remembering. */
const RECENT = 10

/** The first delay after a failed login; it doubles up to `server_login_retry`, which cannot make it shorter. */
const FIRST_RETRY_MS = 100

/**
 * How long to leave a server alone that could not be logged in to for the `failures`th time in a row.
 *
 * @param chance from 0 to 1: spreads the retries of many pools
 */
export function retryDelayMs(failures: number, maxMs: number, chance: number): number {
  const fullMs = Math.min(Math.max(maxMs, FIRST_RETRY_MS), FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 30))
  return fullMs * (0.5 + chance / 2)
}
