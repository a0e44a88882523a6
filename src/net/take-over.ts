/** Makes a channel of a connection that another process has accepted, on whichever transport this process uses. */

import type { Address, Channel, Transport } from './channel.ts'
import { takeOver as takeOverByEpoll } from './epoll/epoll-transport.ts'
import { type AcceptedSocket, takeOver as takeOverByNode } from './node-transport.ts'

/** Nothing may have been read from the socket yet. `onAccepted` is not called if the connection is gone already. */
export function takeOver(
  transport: Transport,
  accepted: AcceptedSocket,
  listening: Address,
  onAccepted: (channel: Channel) => void,
): void {
  if (transport.name === 'epoll' && takeOverByEpoll(accepted, listening, onAccepted)) return
  takeOverByNode(accepted, listening, onAccepted)
}
