/** Makes channels that continue a connection with TLS. */

import type { TLSSocket } from 'node:tls'
import type { Channel } from './channel.ts'
import { NodeChannel } from './node-channel.ts'
import { openSsl } from './openssl/library.ts'
import { TlsChannel, type TlsChannelOptions } from './openssl/tls-channel.ts'
import {
  type ClientSide,
  DEAF,
  isDeaf,
  isName,
  type Opening,
  type ServerSide,
  secureAsClient,
  secureAsServer,
  type TlsContext,
} from './tls.ts'

/** The peer has begun with TLS, or is about to. Returns null if the channel cannot continue with TLS. */
export function offeredTls(channel: Channel, side: ServerSide, opening: Opening): Channel | null {
  const direct = directly(channel, side.context, {
    side: { isServer: true, verifiesPeer: side.verifiesPeer },
    needsProtocol: opening.isDirect,
    ownCertificate: side.certificate,
    first: opening.first,
  })
  if (direct !== null) return direct
  const socket = channel.takeSocket()
  return socket && carriedBy(secureAsServer(socket, side, opening), channel)
}

/** The peer waits for us to begin with TLS. Returns null if the channel cannot continue with TLS. */
export function askedForTls(channel: Channel, side: ClientSide, host: string, opening: Opening): Channel | null {
  const direct = directly(channel, side.context, {
    side: { isServer: false, host, isName: isName(host), verifies: side.verifies },
    needsProtocol: opening.isDirect,
    ownCertificate: null,
  })
  if (direct !== null) return direct
  const socket = channel.takeSocket()
  return socket && carriedBy(secureAsClient(socket, side, host, opening), channel)
}

/** Calls OpenSSL directly, which avoids Node's streams. Returns null if that is not possible. On the portable transport, Node does everything. */
function directly(
  channel: Channel,
  context: TlsContext,
  options: Omit<TlsChannelOptions, 'library' | 'connection'>,
): Channel | null {
  if (channel instanceof NodeChannel) return null
  const library = openSsl()
  const { native } = context
  if (library === null || native === null) return null
  let connection: number
  try {
    connection = library.connect(native.address, options.side)
  } catch {
    // Node reports what is wrong when it is asked for the same.
    return null
  }
  return new TlsChannel(channel, { ...options, library, connection })
}

function carriedBy(secured: TLSSocket, { peer, local }: Channel): Channel {
  const channel = new NodeChannel(secured, peer, local, false)
  secured.on('data', (chunk) => {
    if (isDeaf(secured)) secured.destroy(new Error(DEAF))
    else channel.receive(chunk, chunk.length)
  })
  return channel
}
