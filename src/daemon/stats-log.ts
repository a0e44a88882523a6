/** Ends the periods over which averages are taken, and logs a line about each. */

import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { averagesOf, type Span } from '../pool/averages.ts'

export interface StatsLogOptions {
  readonly clock: Clock
  readonly log: Log
  readonly periodMs: () => number
  readonly isLogged: () => boolean
  /** For those who see nothing but the last line. */
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
    // The sweep is always a little late, and the periods must not drift; after a long sleep there is nothing to catch up with.
    this.#sinceMs = lateMs < periodMs() ? clock.nowMs - lateMs : clock.nowMs
    const write = (span: Span) => {
      const line = statsLine(span)
      if (isLogged()) log.info(line)
      status?.(line)
    }
    const span = endPeriod()
    // A worker that cannot tell is no reason for all others to end.
    if (span instanceof Promise) span.then(write, (problem: Error) => log.error(`no statistics: ${problem.message}`))
    else write(span)
  }
}

/** In the words of PgBouncer, which log scrapers match. */
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
