/**
 * The listening sockets of a fleet. On the epoll transport all workers accept from one shared socket per address, and a worker with more than
 * its share of clients pauses accepting. Otherwise the primary accepts and hands each connection to the worker with the fewest.
 */

import type { Address, Channel, KeepAlive, Listener, Transport } from '../net/channel.ts'
import { listenAll, openListeningDescriptors } from '../net/listen-addresses.ts'
import { type AcceptedSocket, listenForSockets } from '../net/node-transport.ts'
import { isPath } from '../net/unix-sockets.ts'
import type { Settings } from '../settings/load.ts'
import type { GeneralSettings } from '../settings/schema.ts'
import { whereToListen } from './listening.ts'

/** The message that accompanies a connection handed to a worker: the address at which it was accepted. */
export interface HandedOver {
  readonly handedOver: Address
}

export function isHandedOver(message: unknown): message is HandedOver {
  return typeof message === 'object' && message !== null && 'handedOver' in message
}

/** Open as long as the fleet accepts clients. */
export interface Entrance {
  readonly addresses: readonly Address[]
  /** The sockets that all workers accept from, one per address; empty if the primary accepts. */
  readonly descriptors: readonly number[]
  /** Applies changed settings to the shared sockets, for workers that start later. */
  keepUp(): void
  /** Stops accepting TCP connections; unix sockets stay open. */
  closeTcp(): void
  close(): void
}

export interface EntranceOptions {
  readonly settings: Settings
  readonly keepAlive: KeepAlive
  /** Descriptors of listening sockets that another program opened for us. They replace the addresses in the settings. */
  readonly inherited: readonly number[]
  /** Reports something that the operator should know but that is no error. */
  tell(sentence: string): void
  /** Whether workers can share a listening socket and pause accepting from it: true for the epoll transport. */
  readonly isShared: boolean
  /** Hands an accepted connection to a worker. */
  give(message: HandedOver, socket: AcceptedSocket): void
}

/** Rejects with the system's error if an address cannot be listened on. */
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

/** In a worker: accepts from the inherited sockets, one per address, whose descriptors start at `firstDescriptor`. */
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
