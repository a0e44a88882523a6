/** What a pool has done since it began: plain number fields, read when somebody asks. */

import { Histogram } from '../base/histogram.ts'

export class Counters {
  /** Leases. */
  serverAssignments = 0
  /** Transactions that have ended. */
  transactions = 0
  /** Requests that were answered with ReadyForQuery. */
  queries = 0
  /** Bytes from clients. */
  received = 0
  /** Bytes from servers. */
  sent = 0
  /** Microseconds that clients were in a transaction. */
  transactionUs = 0
  /** Microseconds that requests ran. */
  queryUs = 0
  /** Microseconds that clients waited for a server. */
  waitUs = 0
  /** Prepared statements that clients asked for. */
  clientParses = 0
  /** Those that were really prepared on a server. */
  serverParses = 0
  binds = 0
  /** With auto_prepare: unnamed statements that were parsed without a server, and those that a server had to parse. */
  autoPrepareHits = 0
  autoPrepareMisses = 0
  clientLogins = 0
  /** Statements that were there when a client wanted them of a server, those that were not, and those that had to make way for others. */
  statementHits = 0
  statementMisses = 0
  statementEvictions = 0
  /** Servers that were opened, those that could not be, and those that were closed after they had been open. */
  serversOpened = 0
  serverFailures = 0
  serversClosed = 0

  add(other: Counters): void {
    for (const name of COUNTER_NAMES) this[name] += other[name]
  }

  copy(): Counters {
    const copy = new Counters()
    copy.add(this)
    return copy
  }
}

/** How long everything took. */
export class Durations {
  /** From a request to its ReadyForQuery, the wait for a server not counted. */
  readonly query = new Histogram()
  readonly transaction = new Histogram()
  /** From a request to the server that serves it; those that got one at once are counted too. */
  readonly wait = new Histogram()
  /** From a request to its ReadyForQuery, with the wait: as the client sees it. */
  readonly response = new Histogram()
  /** From when bytes had come to when they were passed on, either way, or to when nothing more could be done for them; of some only. */
  readonly passing = new Histogram()
  /** From the dial to a server that can be used. */
  readonly opening = new Histogram()
  /** From a client's connection to when it could send its first query. */
  readonly login = new Histogram()
}

export type DurationName = keyof Durations

export const DURATION_NAMES = Object.keys(new Durations()) as DurationName[]

export const COUNTER_NAMES = Object.keys(new Counters()) as (keyof {
  [Name in keyof Counters as Counters[Name] extends number ? Name : never]: number
})[]
