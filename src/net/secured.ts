/** Channels whose connection goes on with TLS. */

import type { TLSSocket } from 'node:tls'
import type { Channel } from './channel.ts'
import { NodeChannel } from './node-channel.ts'
import { type ClientSide, type Opening, type ServerSide, secureAsClient, secureAsServer } from './tls.ts'

/** Our peer has begun, or is about to. Null if the channel cannot go on so. */
export function offeredTls(channel: Channel, side: ServerSide, opening: Opening): Channel | null {
  const socket = channel.takeSocket()
  return socket && carriedBy(secureAsServer(socket, side, opening), channel)
}

/** The peer waits for us to begin. Null if the channel cannot go on so. */
export function askedForTls(channel: Channel, side: ClientSide, host: string, opening: Opening): Channel | null {
  const socket = channel.takeSocket()
  return socket && carriedBy(secureAsClient(socket, side, host, opening), channel)
}

function carriedBy(secured: TLSSocket, { peer, local }: Channel): Channel {
  const channel = new NodeChannel(secured, peer, local)
  secured.on('data', (chunk) => channel.receive(chunk, chunk.length))
  return channel
}
