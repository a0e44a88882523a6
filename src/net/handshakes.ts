/** TLS handshakes: the error of a failed one, and how many have succeeded and failed in this process. The counts are fields, read on demand. */

import type { TLSSocket } from 'node:tls'

/** Why a handshake failed, unless the network was the cause. */
export class HandshakeError extends Error {
  override readonly name = 'HandshakeError'
}

/** For a peer that has left during the handshake. */
export const ENDED_EARLY = 'the connection ended during the TLS handshake'

export const handshakes = {
  clientHandshakes: 0,
  clientHandshakesFailed: 0,
  serverHandshakes: 0,
  serverHandshakesFailed: 0,
}

/**
 * Counts the handshake that begins on this socket. Call it when the listeners that verify the peer have been added.
 *
 * @param event the event by which the socket reports that the handshake is over
 */
export function countHandshake(socket: TLSSocket, side: 'client' | 'server', event: 'secure' | 'secureConnect'): void {
  const failed = () => {
    handshakes[`${side}HandshakesFailed`]++
  }
  socket.once('close', failed)
  socket.once(event, () => {
    // A listener that was called earlier has refused the peer.
    if (socket.destroyed) return
    socket.off('close', failed)
    handshakes[`${side}Handshakes`]++
  })
}
