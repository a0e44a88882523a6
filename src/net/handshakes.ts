/** Handshakes of TLS: what has broken one, and how many have come to which end in this process: number fields, read when somebody asks. */

import type { TLSSocket } from 'node:tls'

/** Why hands were not shaken, where that was not for the network. */
export class HandshakeError extends Error {
  override readonly name = 'HandshakeError'
}

/** For a peer that has left in the midst of it. */
export const ENDED_EARLY = 'the connection ended during the TLS handshake'

export const handshakes = {
  clientHandshakes: 0,
  clientHandshakesFailed: 0,
  serverHandshakes: 0,
  serverHandshakesFailed: 0,
}

/**
 * Counts the one that begins on this socket. Called when all has been said about who the peer must be.
 *
 * @param event by which the socket tells that it is over
 */
export function countHandshake(socket: TLSSocket, side: 'client' | 'server', event: 'secure' | 'secureConnect'): void {
  const failed = () => {
    handshakes[`${side}HandshakesFailed`]++
  }
  socket.once('close', failed)
  socket.once(event, () => {
    // Somebody else was told first, and did not like it.
    if (socket.destroyed) return
    socket.off('close', failed)
    handshakes[`${side}Handshakes`]++
  })
}
