/** All pools of the process, by database and user. */

import type { Pool } from './pool.ts'

export class Pools {
  readonly #pools = new Map<string, Pool>()

  find(database: string, user: string): Pool | null {
    return this.#pools.get(keyOf(database, user)) ?? null
  }

  add(pool: Pool): void {
    this.#pools.set(keyOf(pool.database, pool.user), pool)
  }

  get count(): number {
    return this.#pools.size
  }

  [Symbol.iterator](): Iterator<Pool> {
    return this.#pools.values()
  }

  sweep(): void {
    for (const pool of this.#pools.values()) pool.sweep()
  }
}

function keyOf(database: string, user: string): string {
  return `${database}\0${user}`
}
