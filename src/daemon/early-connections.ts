/**
 * Holds connections that the primary has accepted while no worker serves: at the start, and when all workers have died. They wait here as they
 * would wait in a listening socket's backlog.
 */

import type { AcceptedSocket } from '../net/node-transport.ts'

/** Hands the connection to a worker; returns false if no worker serves. */
type Give = () => boolean

/** The usual length of a listening socket's backlog. More connections are closed. */
const MAX_EARLY = 128

export class EarlyConnections {
  readonly #waiting = new Map<Pick<AcceptedSocket, 'destroy'>, Give>()

  give(socket: Pick<AcceptedSocket, 'destroy'>, give: Give): void {
    if (give()) return
    if (this.#waiting.size < MAX_EARLY) this.#waiting.set(socket, give)
    else socket.destroy()
  }

  /** Called when a worker begins to serve. */
  goOn(): void {
    for (const [socket, give] of this.#waiting) {
      if (!give()) return
      this.#waiting.delete(socket)
    }
  }

  /** Closes the waiting connections, since no worker will serve them. */
  close(): void {
    for (const socket of this.#waiting.keys()) socket.destroy()
    this.#waiting.clear()
  }
}
