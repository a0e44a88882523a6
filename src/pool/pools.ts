/** All pools of the process, by database, user, and the settings that their servers are opened with. */

import { type Birth, NO_BIRTH } from '../server/birth.ts'
import type { Pool } from './pool.ts'

export class Pools {
  /** Those that clients may come to. */
  readonly #pools = new Map<string, Pool>()
  /** With those that are being given up, and still have servers. */
  readonly #all = new Set<Pool>()

  find(database: string, user: string, birth = NO_BIRTH): Pool | null {
    return this.#pools.get(keyOf(database, user, birth)) ?? null
  }

  add(pool: Pool): void {
    this.#pools.set(keyOf(pool.database, pool.user, pool.birth), pool)
    this.#all.add(pool)
  }

  /** Its servers log in as another user from now on. Where there is a pool of that user already, newcomers go to that one. */
  rename(pool: Pool, formerUser: string): void {
    this.#forget(pool, formerUser)
    if (this.find(pool.database, pool.user, pool.birth) === null) this.add(pool)
  }

  /** No client comes to it any more. It goes on to be counted until it is gone. */
  remove(pool: Pool): void {
    this.#forget(pool, pool.user)
  }

  #forget(pool: Pool, user: string): void {
    const key = keyOf(pool.database, user, pool.birth)
    if (this.#pools.get(key) === pool) this.#pools.delete(key)
  }

  get count(): number {
    return this.#all.size
  }

  [Symbol.iterator](): Iterator<Pool> {
    return this.#all.values()
  }

  sweep(): void {
    for (const pool of this.#all) {
      pool.sweep()
      if (pool.state === 'gone') this.#all.delete(pool)
    }
  }
}

function keyOf(database: string, user: string, birth: Birth): string {
  return JSON.stringify([database, user, ...birth])
}
