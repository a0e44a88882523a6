/** Channels whose connection goes on with TLS. */

import type { TLSSocket } from 'node:tls'
import type { Channel } from './channel.ts'
import { NodeChannel } from './node-channel.ts'
import { type ClientSide, type ServerSide, secureAsClient, secureAsServer } from './tls.ts'

/** Our peer has been told to begin. Null if the channel cannot go on so. */
export function offeredTls(channel: Channel, side: ServerSide): Channel | null {
  const socket = channel.takeSocket()
  return socket && carriedBy(secureAsServer(socket, side), channel)
}

/** The peer waits for us to begin. Null if the channel cannot go on so. */
export function askedForTls(channel: Channel, side: ClientSide, host: string): Channel | null {
  const socket = channel.takeSocket()
  return socket && carriedBy(secureAsClient(socket, side, host), channel)
}

function carriedBy(secured: TLSSocket, { peer, local }: Channel): Channel {
  const channel = new NodeChannel(secured, peer, local)
  secured.on('data', (chunk) => channel.receive(chunk, chunk.length))
  return channel
}
