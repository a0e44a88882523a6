/**
 * Questions to PostgreSQL about clients that are not in yet. Where databases need no line of their own, these may name any number of them,
 * and each is asked in over a connection of its own: few at a time, and only for the question, until somebody has come in.
 */

import { Lookup, type LookupListener } from '../pool/lookup.ts'
import type { Pool } from '../pool/pool.ts'
import { PoolerError } from '../problems.ts'

export interface Inquiry {
  readonly database: string
  /** Who asks. */
  readonly asker: string
  readonly query: string
  /** Whom it is about. */
  readonly user: string
  /** 0 is never. */
  readonly timeoutMs: number
}

export interface InquiryListener extends Pick<LookupListener, 'onFound' | 'onFailed'> {
  /** Whether anybody still waits for the answer; asked when its turn has come. */
  isWanted(): boolean
  /** It will not be asked. */
  onUnwanted(): void
}

export interface InquiriesOptions {
  /** The pool of a database as that user, which must not be anybody else's; null if there is no such database. */
  poolOf(database: string, user: string): Pool | null
  /** It is in the settings, or somebody has come in: no stranger has invented it. */
  isEstablished(database: string): boolean
}

/** Databases that may not exist: a fleet of several processes must not take all connections that PostgreSQL has, either. */
const MAX_DOUBTFUL_AT_ONCE = 10

export class Inquiries {
  readonly #options: InquiriesOptions
  /** In doubtful databases. */
  readonly #waiting: (() => void)[] = []
  #underWay = 0
  #isGoingOn = false

  constructor(options: InquiriesOptions) {
    this.#options = options
  }

  ask(inquiry: Inquiry, listener: InquiryListener): void {
    if (this.#options.isEstablished(inquiry.database)) this.#begin(inquiry, listener, () => {})
    else {
      this.#waiting.push(() => this.#begin(inquiry, listener, this.#over))
      this.#goOn()
    }
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
        const begin = this.#waiting.shift()
        if (begin === undefined) return
        this.#underWay++
        begin()
      }
    } finally {
      this.#isGoingOn = false
    }
  }

  #begin({ database, asker, query, user, timeoutMs }: Inquiry, listener: InquiryListener, over: () => void): void {
    if (!listener.isWanted()) {
      over()
      listener.onUnwanted()
      return
    }
    const { poolOf, isEstablished } = this.#options
    const pool = poolOf(database, asker)
    if (pool === null) {
      over()
      listener.onFailed(new PoolerError('no-such-database', { database }))
      return
    }
    new Lookup(pool, query, user, timeoutMs, {
      onFound(rows) {
        over()
        listener.onFound(rows)
      },
      onFailed(problem) {
        over()
        listener.onFailed(problem)
      },
      keepsServer: () => isEstablished(database),
    }).start()
  }
}
