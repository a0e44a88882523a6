/**
 * Connections that the primary has accepted while no worker serves: at the start, and where all have died. They wait, as they would in the
 * system's backlog if it was not us who had to accept them.
 */

import type { AcceptedSocket } from '../net/node-transport.ts'

/** Hands it to a worker; false if none serves. */
type Give = () => boolean

/** As many as the backlog of a listening socket has. */
const MAX_EARLY = 128

export class EarlyConnections {
  readonly #waiting = new Map<Pick<AcceptedSocket, 'destroy'>, Give>()

  give(socket: Pick<AcceptedSocket, 'destroy'>, give: Give): void {
    if (give()) return
    if (this.#waiting.size < MAX_EARLY) this.#waiting.set(socket, give)
    else socket.destroy()
  }

  /** A worker serves. */
  goOn(): void {
    for (const [socket, give] of this.#waiting) {
      if (!give()) return
      this.#waiting.delete(socket)
    }
  }

  /** None will serve any more. */
  close(): void {
    for (const socket of this.#waiting.keys()) socket.destroy()
    this.#waiting.clear()
  }
}
