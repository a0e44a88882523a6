/**
 * Where the clients of a fleet come in. On epoll all workers accept from one socket, and whoever has more than its share leaves that to the
 * others; else the primary accepts, and hands each connection to the worker that has the fewest.
 */

import type { Address, Channel, KeepAlive, Listener, Transport } from '../net/channel.ts'
import { listenAll, openListeningDescriptors } from '../net/listen-addresses.ts'
import { type AcceptedSocket, listenForSockets } from '../net/node-transport.ts'
import { isPath } from '../net/unix-sockets.ts'
import type { Settings } from '../settings/load.ts'
import type { GeneralSettings } from '../settings/schema.ts'
import { whereToListen } from './listening.ts'

/** What goes with a connection to a worker: where it was accepted. */
export interface HandedOver {
  readonly handedOver: Address
}

export function isHandedOver(message: unknown): message is HandedOver {
  return typeof message === 'object' && message !== null && 'handedOver' in message
}

/** Open for as long as the fleet takes clients. */
export interface Entrance {
  readonly addresses: readonly Address[]
  /** Sockets that every worker accepts from by itself, one for each address; none where the primary accepts for them. */
  readonly descriptors: readonly number[]
  /** Settings have changed: workers that begin later find on shared sockets what holds now. */
  keepUp(): void
  /** Nobody comes in by TCP any more. */
  closeTcp(): void
  close(): void
}

export interface EntranceOptions {
  readonly settings: Settings
  readonly keepAlive: KeepAlive
  /** Sockets that listen already, in the place of those that the settings name. */
  readonly inherited: readonly number[]
  /** What the operator should know and is no error. */
  tell(sentence: string): void
  /** Whether workers can accept from a socket that is not theirs alone, and leave that to others for a while: epoll can. */
  readonly isShared: boolean
  /** Gives an accepted connection to some worker. */
  give(message: HandedOver, socket: AcceptedSocket): void
}

/** Rejects with the system's error where an address cannot be listened on. */
export async function openEntrance(from: EntranceOptions): Promise<Entrance> {
  const { settings, keepAlive, inherited, tell, isShared, give } = from
  const options = whereToListen(settings, keepAlive, tell, inherited)
  const opened = isShared
    ? await openListeningDescriptors(options)
    : await listenAll(
        { listen: (where) => listenForSockets(where, (socket, address) => give({ handedOver: address }, socket)) },
        options,
        () => {},
      )
  return {
    addresses: opened.map(({ address }) => address),
    descriptors: opened.flatMap((each) => ('descriptor' in each ? [each.descriptor] : [])),
    keepUp() {
      for (const each of opened) if ('keepUp' in each) each.keepUp()
    },
    closeTcp() {
      for (const each of opened.filter(({ address }) => !isPath(address.host))) each.close()
    },
    close() {
      for (const each of opened) each.close()
    },
  }
}

/** In a worker: accepts from sockets that it has inherited, from `firstDescriptor` on. */
export async function listenShared(
  transport: Transport,
  { general, keepAlive, addresses, firstDescriptor }: SharedOptions,
  onAccepted: (channel: Channel) => void,
): Promise<readonly Listener[]> {
  const { listen_backlog: backlog, so_reuseport: sharesPort } = general
  return Promise.all(
    addresses.map((address, index) =>
      transport.listen({ ...address, backlog, keepAlive, sharesPort, descriptor: firstDescriptor + index }, onAccepted),
    ),
  )
}

export interface SharedOptions {
  readonly general: GeneralSettings
  readonly keepAlive: KeepAlive
  readonly addresses: readonly Address[]
  readonly firstDescriptor: number
}
