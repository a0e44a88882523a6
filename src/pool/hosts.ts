/** Where the next server of a pool is opened: one of several addresses that have the same database. */

import type { Address } from '../net/channel.ts'

export const BALANCES = ['round-robin', 'disable'] as const

/** `round-robin` takes them in turn; `disable` stays with one for as long as it works. */
export type Balance = (typeof BALANCES)[number]

export class Hosts {
  readonly #addresses: readonly Address[]
  readonly #balance: Balance
  #at = 0
  /** Those that have failed since one has worked, or since all had. */
  readonly #failed = new Set<Address>()

  /** @param addresses at least one */
  constructor(addresses: readonly Address[], balance: Balance) {
    this.#addresses = addresses
    this.#balance = balance
  }

  /** null where there is nothing to balance. */
  get balance(): Balance | null {
    return this.#addresses.length > 1 ? this.#balance : null
  }

  next(): Address {
    const address = this.#addresses[this.#at] as Address
    if (this.#balance === 'round-robin') this.#goOn()
    return address
  }

  /** One has not worked. Returns whether there is another that has not been tried since. */
  failed(address: Address): boolean {
    // Several may be opened at a time: only the first that fails moves on.
    if (this.#balance === 'disable' && address === this.#addresses[this.#at]) this.#goOn()
    this.#failed.add(address)
    if (this.#addresses.some((each) => !this.#failed.has(each))) return true
    this.#failed.clear()
    return false
  }

  worked(): void {
    this.#failed.clear()
  }

  #goOn(): void {
    this.#at = (this.#at + 1) % this.#addresses.length
  }
}
