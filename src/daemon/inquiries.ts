/**
 * Queries to PostgreSQL about clients that have not logged in yet. With the entry `*`, such clients may name any number of databases, and each
 * query needs a server connection in the named database. For a database that no client has logged in to yet, only a few queries run at a
 * time, and the server is closed after the query.
 */

import { Lookup, type LookupListener } from '../pool/lookup.ts'
import type { Pool } from '../pool/pool.ts'
import { PoolerError } from '../problems.ts'

export interface Inquiry {
  readonly database: string
  /** The user that runs the query. */
  readonly asker: string
  readonly query: string
  /** The user that the query is about. */
  readonly user: string
  /** 0 for no timeout. */
  readonly timeoutMs: number
}

export interface InquiryListener extends Pick<LookupListener, 'onFound' | 'onFailed'> {
  /** Whether anybody still waits for the answer; called before the query starts. */
  isWanted(): boolean
  /** Called instead of `onFound` or `onFailed` if `isWanted` returned false: the query will not run. */
  onUnwanted(): void
}

export interface InquiriesOptions {
  /** The pool of a database whose servers log in as exactly `user`; null if there is no such database. */
  poolOf(database: string, user: string): Pool | null
  /** See `Database.isEstablished`. */
  isEstablished(database: string): boolean
}

/**
 * How many queries in databases that may not exist run at a time in this process. Small enough that even a fleet does not use up all
 * connections of PostgreSQL.
 */
const MAX_DOUBTFUL_AT_ONCE = 10

export class Inquiries {
  readonly #options: InquiriesOptions
  /** Queries in databases that may not exist, waiting for their turn. */
  readonly #waiting = new Set<() => void>()
  #underWay = 0
  #isGoingOn = false

  constructor(options: InquiriesOptions) {
    this.#options = options
  }

  /**
   * Returns a function that gives the query up if it still waits: for its turn or, in a database that exists, for a server. The function returns
   * whether it did so; then the listener is not called any more.
   */
  ask(inquiry: Inquiry, listener: InquiryListener): () => boolean {
    if (this.#options.isEstablished(inquiry.database)) {
      const lookup = this.#begin(inquiry, listener, () => {})
      return () => lookup?.abandon() ?? false
    }
    // Once it has begun, it goes on: the server that is opened for it is closed after the query.
    const turn = () => void this.#begin(inquiry, listener, this.#over)
    this.#waiting.add(turn)
    this.#goOn()
    return () => this.#waiting.delete(turn)
  }

  readonly #over = (): void => {
    this.#underWay--
    this.#goOn()
  }

  #goOn(): void {
    if (this.#isGoingOn) return
    this.#isGoingOn = true
    try {
      while (this.#underWay < MAX_DOUBTFUL_AT_ONCE) {
        const [begin] = this.#waiting
        if (begin === undefined) return
        this.#waiting.delete(begin)
        this.#underWay++
        begin()
      }
    } finally {
      this.#isGoingOn = false
    }
  }

  #begin(
    { database, asker, query, user, timeoutMs }: Inquiry,
    listener: InquiryListener,
    over: () => void,
  ): Lookup | null {
    if (!listener.isWanted()) {
      over()
      listener.onUnwanted()
      return null
    }
    const { poolOf, isEstablished } = this.#options
    const pool = poolOf(database, asker)
    if (pool === null) {
      over()
      listener.onFailed(new PoolerError('no-such-database', { database }))
      return null
    }
    const lookup = new Lookup(pool, query, user, timeoutMs, {
      onFound(rows) {
        over()
        listener.onFound(rows)
      },
      onFailed(problem) {
        over()
        listener.onFailed(problem)
      },
      keepsServer: () => isEstablished(database),
    })
    lookup.start()
    return lookup
  }
}
