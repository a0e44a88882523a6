/** Closes servers of one pool that are not to be used any more: at once those that nobody uses, and others as they come free. */

import { PoolerError } from '../problems.ts'
import type { Server } from '../server/server.ts'
import type { ServerLists } from './server-lists.ts'
import type { Standing } from './states.ts'

/** Nobody uses them, though some of them are about to be used. */
const FREE = ['dialing', 'login', 'idle', 'checking', 'cleaning', 'canceling'] as const

export class Closing {
  readonly #servers: ServerLists
  readonly #isOfOneClient: boolean

  /** @param isOfOneClient a server that its client keeps would never come free: it is closed at once */
  constructor(servers: ServerLists, isOfOneClient: boolean) {
    this.#servers = servers
    this.#isOfOneClient = isOfOneClient
  }

  /** Where one is closed, another may be opened for who waits: that one is new, and stays. */
  condemnAll(reason: string): void {
    for (const server of this.#servers.all) this.#condemn(server, reason)
  }

  /** Those that were opened where their host is not any more. */
  condemnMoved(host: string, addresses: ReadonlySet<string>): void {
    for (const server of this.#servers.all)
      if (isElsewhere(server, host, addresses)) this.#condemn(server, 'the host has another address now')
  }

  #condemn(server: Server, reason: string): void {
    if (this.#isOfOneClient) server.close(reason, new PoolerError('replication-renewed', { reason }))
    else server.condemn(reason)
  }

  /** There are no leases any more. */
  closeFree({ closesBecause }: Standing): void {
    if (closesBecause === null) return
    for (const state of FREE) for (const server of this.#servers.of[state]) server.close(closesBecause)
  }

  /** Where there are no leases, nothing that goes on is cut off; but a stream has no end to wait for, and can be taken up again. */
  endStreams({ closesBecause, lastWord }: Standing): void {
    if (!this.#isOfOneClient || closesBecause === null) return
    const notice = lastWord ?? new PoolerError('replication-renewed', { reason: closesBecause })
    for (const server of [...this.#servers.of.leased])
      if (server.ledger.copy === 'both') server.close(closesBecause, notice)
  }
}

/** Where it is not an address yet, it is still being dialled. */
function isElsewhere({ address, peer }: Server, host: string, addresses: ReadonlySet<string>): boolean {
  const at = peer.host.replace(/%.*/, '')
  return address.host === host && at !== host && !addresses.has(at)
}
