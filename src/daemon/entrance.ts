/** Where the clients of a fleet come in: the primary accepts, and hands each connection to the worker that has the fewest. */

import type { Address, KeepAlive, Listener } from '../net/channel.ts'
import { listenAll, parseListenAddresses } from '../net/listen-addresses.ts'
import { type AcceptedSocket, listenForSockets } from '../net/node-transport.ts'
import type { GeneralSettings } from '../settings/schema.ts'

/** What goes with a connection to a worker: where it was accepted. */
export interface HandedOver {
  readonly handedOver: Address
}

export function isHandedOver(message: unknown): message is HandedOver {
  return typeof message === 'object' && message !== null && 'handedOver' in message
}

/** Rejects with the system's error where an address cannot be listened on. */
export async function openEntrance(
  general: GeneralSettings,
  keepAlive: KeepAlive,
  give: (message: HandedOver, socket: AcceptedSocket) => void,
): Promise<readonly Listener[]> {
  return listenAll(
    { listen: (where) => listenForSockets(where, (socket, address) => give({ handedOver: address }, socket)) },
    {
      addresses: parseListenAddresses(general.listen_addr),
      port: general.listen_port,
      backlog: general.listen_backlog,
      keepAlive,
    },
    () => {},
  )
}
