/** Ends each statistics period (`stats_period`) and logs a line with its averages. */

import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { averagesOf, type Span } from '../pool/averages.ts'

export interface StatsLogOptions {
  readonly clock: Clock
  readonly log: Log
  readonly periodMs: () => number
  readonly isLogged: () => boolean
  /** Receives the line, too, for a display that shows only the latest one (the service manager's status). */
  readonly status?: (line: string) => void
  /** Ends a period and returns what happened in it; a fleet has to ask its workers. */
  endPeriod(): Span | Promise<Span>
}

export class StatsLog {
  readonly #options: StatsLogOptions
  #sinceMs: number

  constructor(options: StatsLogOptions) {
    this.#options = options
    this.#sinceMs = options.clock.nowMs
  }

  /** Called by the janitor. */
  sweep(): void {
    const { clock, log, periodMs, isLogged, status, endPeriod } = this.#options
    const lateMs = clock.nowMs - this.#sinceMs - periodMs()
    if (lateMs < 0) return
    // A sweep is always a little late, so subtract the delay to keep periods from drifting. After a long standstill of the process, such as
    // a suspended machine, start anew instead of catching up on missed periods.
    this.#sinceMs = lateMs < periodMs() ? clock.nowMs - lateMs : clock.nowMs
    const write = (span: Span) => {
      const line = statsLine(span)
      if (isLogged()) log.info(line)
      status?.(line)
    }
    const span = endPeriod()
    // If a worker does not answer, log that. An unhandled rejection would end this process.
    if (span instanceof Promise) span.then(write, (problem: Error) => log.error(`no statistics: ${problem.message}`))
    else write(span)
  }
}

/** PgBouncer's log line, which log scrapers match. */
export function statsLine(span: Span): string {
  const average = averagesOf(span)
  const parts = [
    `${average.transactions} xacts/s`,
    `${average.queries} queries/s`,
    `${average.clientParses} client parses/s`,
    `${average.serverParses} server parses/s`,
    `${average.binds} binds/s`,
    `${average.clientLogins} client logins/s`,
    `in ${average.received} B/s`,
    `out ${average.sent} B/s`,
    `xact ${average.transactionUs} us`,
    `query ${average.queryUs} us`,
    `wait ${average.waitUs} us`,
  ]
  return `stats: ${parts.join(', ')}`
}
