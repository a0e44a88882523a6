/** Remembers at which addresses a host has been seen, to tell a host that has moved from one whose answers take turns. */

/** How long an address is remembered that is not among the answers any more. */
export const REMEMBERED_MS = 600_000

export class Sightings {
  /** When each address was last among the answers. */
  readonly #lastMs = new Map<string, number>()
  #latest: readonly string[] = []
  #takesTurnsUntilMs = -Infinity

  /**
   * Takes another answer. Returns the addresses where the host is now; null for the first answer.
   *
   * Some names have more addresses than fit in an answer, or give out one after the other, so that an address that is missing from an
   * answer is not gone. Such a name is recognized when an address returns that was missing before. From then on, an address counts until it
   * has not been seen for REMEMBERED_MS.
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
    // Returned with each answer, even if nothing has changed: a server may have been opened a moment ago where the host was before.
    return now
  }
}
