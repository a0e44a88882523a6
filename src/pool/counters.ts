/** What a pool has counted since it began: plain number fields, read on demand. */

import { Histogram } from '../base/histogram.ts'

export class Counters {
  /** Leases that have begun. */
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
  /** Prepared statements that servers have actually prepared. */
  serverParses = 0
  binds = 0
  /** With auto_prepare: unnamed statements whose Parse did not need a server, and those that a server had to parse. */
  autoPrepareHits = 0
  autoPrepareMisses = 0
  clientLogins = 0
  /** Prepared statements that a server had already when a client needed them, those that it did not have, and those that were evicted. */
  statementHits = 0
  statementMisses = 0
  statementEvictions = 0
  /** Servers that were opened, those that could not be opened, and those that were closed after having been open. */
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

/** Histograms of how long things took. */
export class Durations {
  /** From a request to its ReadyForQuery, without the wait for a server. */
  readonly query = new Histogram()
  readonly transaction = new Histogram()
  /** From a request until it has a server, or has given up. Requests that got one at once count too. */
  readonly wait = new Histogram()
  /** From a request to its ReadyForQuery, including the wait for a server: the time that the client sees. */
  readonly response = new Histogram()
  /**
   * From the arrival of bytes, in either direction, until they were passed on or nothing more could be done for them. A sample, since reading
   * the time adds to what is measured.
   */
  readonly passing = new Histogram()
  /** From dialing a server until it can be used. */
  readonly opening = new Histogram()
  /** From a client's connection until it could send its first query. */
  readonly login = new Histogram()
}

export type DurationName = keyof Durations

export const DURATION_NAMES = Object.keys(new Durations()) as DurationName[]

export const COUNTER_NAMES = Object.keys(new Counters()) as (keyof {
  [Name in keyof Counters as Counters[Name] extends number ? Name : never]: number
})[]
