/** At which addresses a host has been seen, to tell one that has moved from one whose answers take turns. */

/** For so long an address is remembered that is not among the answers any more. */
export const REMEMBERED_MS = 600_000

export class Sightings {
  /** When each address was among the answers last. */
  readonly #lastMs = new Map<string, number>()
  #latest: readonly string[] = []
  #takesTurnsUntilMs = -Infinity

  /**
   * Another answer. Returns where the host is, if that is not all where it was.
   *
   * Some names have more addresses than fit in an answer, or give out one after the other, so that an address that is not named is not
   * gone. They are known by this: what was gone comes back. From then on an address counts until it has not been seen for long.
   */
  see(addresses: readonly string[], nowMs: number): ReadonlySet<string> | null {
    const isFirst = this.#lastMs.size === 0
    if (addresses.some((address) => this.#lastMs.has(address) && !this.#latest.includes(address)))
      this.#takesTurnsUntilMs = nowMs + REMEMBERED_MS
    for (const address of addresses) this.#lastMs.set(address, nowMs)
    this.#latest = addresses
    for (const [address, lastMs] of this.#lastMs) if (nowMs - lastMs >= REMEMBERED_MS) this.#lastMs.delete(address)
    if (isFirst) return null
    const now = new Set(nowMs < this.#takesTurnsUntilMs ? this.#lastMs.keys() : addresses)
    // Told again with each answer: a server may just have been opened where the host was before.
    return now
  }
}
