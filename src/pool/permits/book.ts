/** All limits on permits by name, and the accounts under them. A single process keeps one book, or the primary of several. Pure. */

import { Accounts } from './accounts.ts'
import type { Holder } from './holder.ts'
import type { Account } from './limit.ts'
import { Limit, type Sizes } from './limit.ts'

export type LimitKind = 'pool' | 'database' | 'user'

/** Returns the numbers of permits in the present settings. `database` or `user` is empty if it does not matter. */
export type SizesOf = (kind: LimitKind, database: string, user: string) => Sizes

/** The setting that each kind of limit is named after. */
const SETTINGS: Readonly<Record<LimitKind, string>> = {
  pool: 'pool_size',
  database: 'max_db_connections',
  user: 'max_user_connections',
}

/** A limit and the number of accounts under it. */
interface Entry {
  readonly limit: Limit
  readonly kind: LimitKind
  readonly database: string
  readonly user: string
  accounts: number
}

export class PermitBook {
  readonly accounts = new Accounts()
  readonly #sizesOf: SizesOf
  readonly #entries = new Map<string, Entry>()
  readonly #entriesOf = new Map<Account, readonly Entry[]>()

  constructor(sizesOf: SizesOf) {
    this.#sizesOf = sizesOf
  }

  /** Opens an account for a pool of one process. Accounts of other processes for the same database and user share its limits. */
  open(database: string, user: string, holder: Holder): Account {
    const pool = this.#join('pool', database, user)
    const shared = [this.#join('database', database, ''), this.#join('user', '', user)]
    const account = this.accounts.open(
      holder,
      pool.limit,
      shared.map(({ limit }) => limit),
    )
    this.#entriesOf.set(account, [pool, ...shared])
    return account
  }

  /** Closes the account of a holder that is gone. Limits without accounts are removed, since strangers choose the names. */
  close(account: Account, nowMs: number): void {
    this.accounts.close(account, nowMs)
    for (const entry of this.#entriesOf.get(account) ?? []) {
      entry.accounts--
      if (entry.accounts === 0) this.#entries.delete(keyOf(entry.kind, entry.database, entry.user))
    }
    this.#entriesOf.delete(account)
  }

  /**
   * The settings have changed: gives all limits their new numbers. Permits are granted and recalled only by `resized`, after all numbers are
   * known: if one limit were raised while another still had its former numbers, more might be granted than the other now allows.
   */
  renumber(): void {
    for (const { limit, kind, database, user } of this.#entries.values())
      limit.resize(this.#sizesOf(kind, database, user))
  }

  /** Grants and recalls permits after the limits of an account may have changed. */
  resized(account: Account, nowMs: number): void {
    for (const { limit } of this.#entriesOf.get(account) ?? []) this.accounts.resized(limit, nowMs)
  }

  get limits(): Iterable<Limit> {
    return [...this.#entries.values()].map(({ limit }) => limit)
  }

  #join(kind: LimitKind, database: string, user: string): Entry {
    const key = keyOf(kind, database, user)
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      const limit = new Limit(SETTINGS[kind], this.#sizesOf(kind, database, user))
      entry = { limit, kind, database, user, accounts: 0 }
      this.#entries.set(key, entry)
    }
    entry.accounts++
    return entry
  }
}

function keyOf(kind: LimitKind, database: string, user: string): string {
  return `${kind}\0${database}\0${user}`
}
