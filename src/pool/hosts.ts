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
  /** Until when one that has failed is not taken in turn. */
  readonly #restsUntilMs = new Map<Address, number>()

  /**
   * @param addresses at least one
   * @param turn where `round-robin` begins; `disable` begins with the first
   */
  constructor(addresses: readonly Address[], balance: Balance, turn = 0) {
    this.#addresses = addresses
    this.#balance = balance
    if (balance === 'round-robin') this.#at = turn % addresses.length
  }

  /** null where there is nothing to balance. */
  get balance(): Balance | null {
    return this.#addresses.length > 1 ? this.#balance : null
  }

  next(nowMs: number): Address {
    if (this.#balance === 'round-robin') this.#passOverResting(nowMs)
    const address = this.#addresses[this.#at] as Address
    if (this.#balance === 'round-robin') this.#goOn()
    return address
  }

  /**
   * One has not worked. Returns whether there is another that has not been tried since.
   *
   * @param restUntilMs it has no turn before, unless all rest: one that does not even refuse costs whoever waits for it a whole timeout
   */
  failed(address: Address, restUntilMs: number): boolean {
    this.#restsUntilMs.set(address, restUntilMs)
    // Several may be opened at a time: only the first that fails moves on.
    if (this.#balance === 'disable' && address === this.#addresses[this.#at]) this.#goOn()
    this.#failed.add(address)
    if (this.#addresses.some((each) => !this.#failed.has(each))) return true
    this.#failed.clear()
    return false
  }

  worked(address: Address): void {
    this.#failed.clear()
    this.#restsUntilMs.delete(address)
  }

  /** Each has its turn again. */
  forget(): void {
    this.#restsUntilMs.clear()
  }

  #passOverResting(nowMs: number): void {
    const from = this.#at
    while (nowMs < (this.#restsUntilMs.get(this.#addresses[this.#at] as Address) ?? 0)) {
      this.#goOn()
      if (this.#at === from) return
    }
  }

  #goOn(): void {
    this.#at = (this.#at + 1) % this.#addresses.length
  }
}
