/** Decides which pool serves a session. Later: which of a database's servers serves a statement. */

import type { Pool } from '../pool/pool.ts'
import type { Pools } from '../pool/pools.ts'
import type { Birth } from '../server/birth.ts'

/** A database as clients name it. */
export interface RoutedDatabase {
  readonly name: string
  /** All its clients share one pool, as this user; null if each logs in as itself. */
  readonly forcedUser: string | null
}

export type CreatePool = (database: RoutedDatabase, user: string, birth: Birth) => Pool

export class Router {
  readonly #pools: Pools
  readonly #createPool: CreatePool

  constructor(pools: Pools, createPool: CreatePool) {
    this.#pools = pools
    this.#createPool = createPool
  }

  /** The pool for a database, the user that logs in, and what its servers must be opened with; made for its first client. */
  poolFor(database: RoutedDatabase, loginUser: string, birth: Birth): Pool {
    return this.poolAs(database, database.forcedUser ?? loginUser, birth)
  }

  /** The pool as exactly that user. */
  poolAs(database: RoutedDatabase, user: string, birth: Birth): Pool {
    const known = this.#pools.find(database.name, user, birth)
    if (known) return known
    const pool = this.#createPool(database, user, birth)
    this.#pools.add(pool)
    return pool
  }
}
