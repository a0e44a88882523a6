/** Decides which pool serves a session. Later: which of a database's servers serves a statement. */

import type { Pool } from '../pool/pool.ts'
import type { Pools } from '../pool/pools.ts'
import type { Birth } from '../server/birth.ts'

/** A database under the name that clients use. */
export interface RoutedDatabase {
  readonly name: string
  /** The user that all clients of the database use on servers, so that they share one pool; null if each client uses its own user. */
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

  /**
   * Returns the pool for a database, the user that a client logs in as, and the settings that its servers must be opened with. Creates the
   * pool for its first client.
   */
  poolFor(database: RoutedDatabase, loginUser: string, birth: Birth): Pool {
    return this.poolAs(database, database.forcedUser ?? loginUser, birth)
  }

  /** Returns the pool of exactly this user, whatever `forcedUser` is. */
  poolAs(database: RoutedDatabase, user: string, birth: Birth): Pool {
    const known = this.#pools.find(database.name, user, birth)
    if (known) return known
    const pool = this.#createPool(database, user, birth)
    this.#pools.add(pool)
    return pool
  }
}
