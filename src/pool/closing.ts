/** Closes servers of one pool that must not be used any more: at once if nobody uses them, otherwise as they come free. */

import { PoolerError } from '../problems.ts'
import type { Server } from '../server/server.ts'
import type { ServerLists } from './server-lists.ts'
import type { Standing } from './states.ts'

/** States in which no client uses the server, though one may be waiting for it. */
const FREE = ['dialing', 'login', 'idle', 'checking', 'cleaning', 'canceling'] as const

export class Closing {
  readonly #servers: ServerLists
  readonly #isOfOneClient: boolean

  /** @param isOfOneClient servers are closed at once, because a server that its client keeps would never come free */
  constructor(servers: ServerLists, isOfOneClient: boolean) {
    this.#servers = servers
    this.#isOfOneClient = isOfOneClient
  }

  /**
   * Condemns all servers that the pool has now. A server that is opened for a waiter meanwhile is new and stays: the list in `all` was made
   * before.
   */
  condemnAll(reason: string): void {
    for (const server of this.#servers.all) this.#condemn(server, reason)
  }

  /** Condemns servers that are connected to an address `host` no longer has. */
  condemnMoved(host: string, addresses: ReadonlySet<string>): void {
    for (const server of this.#servers.all)
      if (isElsewhere(server, host, addresses)) this.#condemn(server, 'the host now has a different address')
  }

  #condemn(server: Server, reason: string): void {
    if (this.#isOfOneClient) server.close(reason, new PoolerError('replication-renewed', { reason }))
    else server.condemn(reason)
  }

  /** Closes all servers that nobody uses, unless the standing allows leases. */
  closeFree({ closesBecause }: Standing): void {
    if (closesBecause === null) return
    for (const state of FREE) for (const server of this.#servers.of[state]) server.close(closesBecause)
  }

  /**
   * A pool without leases lets running transactions finish. Replication streams are the exception: they never finish, but their clients can
   * resume them elsewhere, so they are ended.
   */
  endStreams({ closesBecause, lastWord }: Standing): void {
    if (!this.#isOfOneClient || closesBecause === null) return
    const notice = lastWord ?? new PoolerError('replication-renewed', { reason: closesBecause })
    for (const server of [...this.#servers.of.leased])
      if (server.ledger.copy === 'both') server.close(closesBecause, notice)
  }
}

/** While the server is being dialed, `peer.host` is still the host's name: nothing is known yet. */
function isElsewhere({ address, peer }: Server, host: string, addresses: ReadonlySet<string>): boolean {
  const at = peer.host.replace(/%.*/, '')
  return address.host === host && at !== host && !addresses.has(at)
}
