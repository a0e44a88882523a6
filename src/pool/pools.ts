/** All pools of the process, by database, user, and birth settings (settings that Postgres takes only when a connection begins). */

import { PoolerError } from '../problems.ts'
import { type Birth, NO_BIRTH } from '../server/birth.ts'
import { Counters } from './counters.ts'
import type { Pool } from './pool.ts'
import { asOther, Tallies, type Tally, TallyNames, tallyOf } from './tallies.ts'

export class Pools {
  /** Pools that new clients may come to. */
  readonly #pools = new Map<string, Pool>()
  /** All pools: these, those of one replication client each, and those that no client comes to any more but that still have servers. */
  readonly #all = new Set<Pool>()
  /** How many pools in `#all` each database has. */
  readonly #counts = new Map<string, number>()
  /** What forgotten pools have counted, by database. */
  readonly #past = new Map<string, Counters>()
  /** Pools of databases that are gone. Their counters are not kept. */
  readonly #givenUp = new Set<Pool>()
  /** What pools that are gone have counted. Outlives their databases. */
  readonly #tallies: Tallies

  /** Pools that were counted as `other` so far, because they may not have a name yet. */
  readonly #nameless = new Set<Pool>()
  readonly #isEstablished: (database: string) => boolean

  /**
   * @param names decides which names are counted separately
   * @param isEstablished false if an unauthenticated client may have made up the name of the database. Such names must not take up places under
   * the limit on names until a server has shown that the database exists
   */
  constructor(names = new TallyNames(Infinity), isEstablished: (database: string) => boolean = () => true) {
    this.#tallies = new Tallies(names)
    this.#isEstablished = isEstablished
  }

  find(database: string, user: string, birth = NO_BIRTH): Pool | null {
    return this.#pools.get(keyOf(database, user, birth)) ?? null
  }

  add(pool: Pool): void {
    if (!pool.isOfOneClient) this.#pools.set(keyOf(pool.database, pool.user, pool.birth), pool)
    if (this.#all.has(pool)) return
    this.#all.add(pool)
    this.#counts.set(pool.database, (this.#counts.get(pool.database) ?? 0) + 1)
  }

  /** Removes a pool whose last client and server have long been gone. Its counters are kept in the totals of its database. */
  forget(pool: Pool): void {
    this.#unfile(pool)
    this.#drop(pool)
    this.#keepCounts(pool)
    pool.retire(new PoolerError('pooler-shutting-down'))
  }

  #keepCounts({ database, counters }: Pool): void {
    const past = this.#past.get(database) ?? new Counters()
    past.add(counters)
    this.#past.set(database, past)
  }

  /** Everything that was ever counted, by database and user. */
  tallies(): readonly Tally[] {
    return this.#tallies.with(Array.from(this.#all, (pool) => this.#tallyOf(pool)))
  }

  #tallyOf(pool: Pool): Tally {
    const tally = tallyOf(pool)
    if (!this.#mayHaveName(pool)) {
      this.#nameless.add(pool)
      return asOther(tally)
    }
    if (!this.#nameless.delete(pool)) return tally
    // What was counted as `other` stays there: no number ever goes down.
    this.#tallies.add([asOther(tally)])
    this.#keepCounts(pool)
    pool.countAnew()
    return tallyOf(pool)
  }

  #mayHaveName(pool: Pool): boolean {
    const { database, counters } = pool
    return counters.serversOpened > 0 || this.#isEstablished(database) || this.#tallies.names.knows(pool)
  }

  /** What forgotten pools have counted, by database. */
  get past(): ReadonlyMap<string, Counters> {
    return this.#past
  }

  /** Drops the statistics of a database that is gone. */
  forgetPast(database: string): void {
    this.#past.delete(database)
  }

  hasAny(database: string): boolean {
    return this.#counts.has(database)
  }

  /** Files a pool under its new user. If that user has a pool already, new clients go to that one. */
  rename(pool: Pool, formerUser: string): void {
    const { database, counters, durations, errors } = pool
    this.#tallies.ended({ database, user: formerUser, counters, durations, errors })
    this.#keepCounts(pool)
    pool.countAnew()
    this.#unfile(pool, formerUser)
    if (this.find(pool.database, pool.user, pool.birth) === null) this.add(pool)
  }

  /** Keeps new clients away from a pool whose database is gone. It still counts until it is gone itself. */
  giveUp(pool: Pool): void {
    this.#unfile(pool)
    this.#givenUp.add(pool)
  }

  #unfile(pool: Pool, user = pool.user): void {
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
      if (pool.state !== 'gone') continue
      this.#drop(pool)
      if (!this.#givenUp.delete(pool)) this.#keepCounts(pool)
    }
  }

  #drop(pool: Pool): void {
    if (!this.#all.delete(pool)) return
    const isOther = this.#nameless.delete(pool) || !this.#mayHaveName(pool)
    this.#tallies.add([isOther ? asOther(tallyOf(pool)) : tallyOf(pool)])
    const left = (this.#counts.get(pool.database) ?? 0) - 1
    if (left > 0) this.#counts.set(pool.database, left)
    else this.#counts.delete(pool.database)
  }
}

function keyOf(database: string, user: string, birth: Birth): string {
  return JSON.stringify([database, user, ...birth])
}
