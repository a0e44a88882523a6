/** Counts clients under the limits on them: `max_client_conn`, and those of each database and each user. */

import { invariant } from '../base/invariant.ts'

/** One limit that a client is to be counted under. */
export interface ClientClaim {
  readonly limit: ClientLimit
  /** Of the database, or of the user; empty where all clients count. */
  readonly name: string
}

export type ClientLimit = 'max_client_conn' | 'max_db_client_connections' | 'max_user_client_connections'

/** Who lets clients in: this process alone, or the primary for all workers. */
export interface Admissions {
  /**
   * Counts a client under all of the limits, or under none if one is full. `done` is told which, or null; at once, or later.
   */
  claim(claims: readonly ClientClaim[], done: (full: ClientClaim | null) => void): void
  /** `done` is told the same, and nobody is counted: who has not proved yet who it is takes nobody's place. */
  look(claims: readonly ClientClaim[], done: (full: ClientClaim | null) => void): void
  /** The client has gone. */
  release(claims: readonly ClientClaim[]): void
  /** How many clients this process has under a limit. */
  used(limit: ClientLimit, name: string): number
  /** The names under which clients were counted. */
  names(limit: ClientLimit): Iterable<string>
}

/** How many clients there may be; Infinity for no limit. */
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

  /** The first limit that is full; null if there was room and the client is counted. */
  tryClaim(claims: readonly ClientClaim[]): ClientClaim | null {
    const full = this.firstFull(claims)
    if (full === null) this.count(claims)
    return full
  }

  firstFull(claims: readonly ClientClaim[]): ClientClaim | null {
    return claims.find((claim) => this.used(claim.limit, claim.name) >= this.#maxOf(claim)) ?? null
  }

  /** Counts a client that is in already. */
  count(claims: readonly ClientClaim[]): void {
    for (const { limit, name } of claims) this.#counts[limit].set(name, this.used(limit, name) + 1)
  }

  release(claims: readonly ClientClaim[]): void {
    for (const { limit, name } of claims) {
      const used = this.used(limit, name)
      invariant(used > 0, `${limit} is released more often than claimed`)
      // A count of nobody is forgotten, since strangers choose the names.
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

  /** All that is counted, to be released when whoever has claimed it is gone. */
  *claims(): Generator<ClientClaim> {
    for (const limit of Object.keys(this.#counts) as ClientLimit[])
      for (const [name, used] of this.#counts[limit]) for (let left = used; left > 0; left--) yield { limit, name }
  }
}
