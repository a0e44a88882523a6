/** Counts clients against their limits: `max_client_conn`, and the limits of each database and each user. */

import { invariant } from '../base/invariant.ts'

/** One limit that a client is counted under. */
export interface ClientClaim {
  readonly limit: ClientLimit
  /** The name of the database or of the user; empty for `max_client_conn`, which counts all clients. */
  readonly name: string
}

export type ClientLimit = 'max_client_conn' | 'max_db_client_connections' | 'max_user_client_connections'

/** Admits clients, for this process alone or, in the primary, for all workers. */
export interface Admissions {
  /**
   * Counts a client under all of the limits, or under none if one is full. `done` receives the first limit that is full, or null. It is called
   * at once or later.
   */
  claim(claims: readonly ClientClaim[], done: (full: ClientClaim | null) => void): void
  /** Checks the limits in the same way, without counting the client: clients that have not been authenticated yet do not take up places. */
  look(claims: readonly ClientClaim[], done: (full: ClientClaim | null) => void): void
  /** The client has gone. */
  release(claims: readonly ClientClaim[]): void
  /** How many clients this process has under a limit. */
  used(limit: ClientLimit, name: string): number
  /** The names under which clients are counted. */
  names(limit: ClientLimit): Iterable<string>
}

/** Returns how many clients there may be; Infinity for no limit. */
export type MaxOf = (claim: ClientClaim) => number

export class ClientCounts implements Admissions {
  readonly #counts: Record<ClientLimit, Map<string, number>> = {
    max_client_conn: new Map(),
    max_db_client_connections: new Map(),
    max_user_client_connections: new Map(),
  }
  readonly #maxOf: MaxOf

  constructor(maxOf: MaxOf) {
    this.#maxOf = maxOf
  }

  claim(claims: readonly ClientClaim[], done: (full: ClientClaim | null) => void): void {
    done(this.tryClaim(claims))
  }

  look(claims: readonly ClientClaim[], done: (full: ClientClaim | null) => void): void {
    done(this.firstFull(claims))
  }

  /** Counts a client if there is room. Returns the first limit that is full, or null if the client is counted. */
  tryClaim(claims: readonly ClientClaim[]): ClientClaim | null {
    const full = this.firstFull(claims)
    if (full === null) this.count(claims)
    return full
  }

  firstFull(claims: readonly ClientClaim[]): ClientClaim | null {
    return claims.find((claim) => this.used(claim.limit, claim.name) >= this.#maxOf(claim)) ?? null
  }

  /** Counts a client that has been let in already. */
  count(claims: readonly ClientClaim[]): void {
    for (const { limit, name } of claims) this.#counts[limit].set(name, this.used(limit, name) + 1)
  }

  release(claims: readonly ClientClaim[]): void {
    for (const { limit, name } of claims) {
      const used = this.used(limit, name)
      invariant(used > 0, `${limit} is released more often than claimed`)
      // Counts of 0 are removed, since strangers choose the names.
      if (used === 1) this.#counts[limit].delete(name)
      else this.#counts[limit].set(name, used - 1)
    }
  }

  used(limit: ClientLimit, name: string): number {
    return this.#counts[limit].get(name) ?? 0
  }

  names(limit: ClientLimit): Iterable<string> {
    return this.#counts[limit].keys()
  }

  /** All claims that are counted, to be released when the process that made them is gone. */
  *claims(): Generator<ClientClaim> {
    for (const limit of Object.keys(this.#counts) as ClientLimit[])
      for (const [name, used] of this.#counts[limit]) for (let left = used; left > 0; left--) yield { limit, name }
  }
}
