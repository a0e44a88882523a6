/** Chooses where the next server of a pool is opened, among several addresses of the same database. */

import type { Address } from '../net/channel.ts'

export const BALANCES = ['round-robin', 'disable'] as const

/** `round-robin` takes the addresses in turn; `disable` stays with one for as long as it works. */
export type Balance = (typeof BALANCES)[number]

export class Hosts {
  readonly #addresses: readonly Address[]
  readonly #balance: Balance
  #at = 0
  /** Addresses that have failed since one worked, or since all had failed. */
  readonly #failed = new Set<Address>()
  /** Until when `round-robin` skips an address that has failed. */
  readonly #restsUntilMs = new Map<Address, number>()

  /**
   * @param addresses at least one
   * @param turn the address that `round-robin` begins with; `disable` begins with the first
   */
  constructor(addresses: readonly Address[], balance: Balance, turn = 0) {
    this.#addresses = addresses
    this.#balance = balance
    if (balance === 'round-robin') this.#at = turn % addresses.length
  }

  /** null if there is only one address. */
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
   * Notes a failure. Returns whether there is another address that has not failed since one last worked.
   *
   * @param restUntilMs until when the address is skipped, unless all are: a host that does not answer at all costs each waiting client a whole
   * timeout
   */
  failed(address: Address, restUntilMs: number): boolean {
    this.#restsUntilMs.set(address, restUntilMs)
    // Several servers may be opened at a time: only the first failure moves on to the next address.
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

  /** Stops skipping addresses that have failed. */
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
