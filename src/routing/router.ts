/** Decides which pool serves a session. Later: which of a database's servers serves a statement. */

import type { Pool } from '../pool/pool.ts'
import type { Pools } from '../pool/pools.ts'

/** A database as clients name it. */
export interface RoutedDatabase {
  readonly name: string
  /** All its clients share one pool, as this user; null if each logs in as itself. */
  readonly forcedUser: string | null
}

export class Router {
  readonly #pools: Pools
  readonly #createPool: (database: RoutedDatabase, user: string) => Pool

  constructor(pools: Pools, createPool: (database: RoutedDatabase, user: string) => Pool) {
    this.#pools = pools
    this.#createPool = createPool
  }

  /** The pool for a database and the user that logs in; opened with its first client. */
  poolFor(database: RoutedDatabase, loginUser: string): Pool {
    const user = database.forcedUser ?? loginUser
    const known = this.#pools.find(database.name, user)
    if (known) return known
    const pool = this.#createPool(database, user)
    this.#pools.add(pool)
    return pool
  }
}
