/** The first packet of a connection: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP */

import { PoolerError } from '../problems.ts'
import { MAX_NAME_BYTES, MAX_STARTUP_PACKET_BYTES } from './limits.ts'
import { Writer } from './writer.ts'

export const PROTOCOL_3_0 = 0x0003_0000
const CANCEL_REQUEST = 80_877_102
const SSL_REQUEST = 80_877_103
const GSSENC_REQUEST = 80_877_104

/** The longest cancel key that protocol 3.2 allows. */
const MAX_CANCEL_KEY_BYTES = 256

export type FirstPacket =
  | { readonly kind: 'ssl-request' }
  | { readonly kind: 'gss-request' }
  | { readonly kind: 'cancel'; readonly pid: number; readonly key: Buffer }
  | StartupPacket

export interface StartupPacket {
  readonly kind: 'startup'
  readonly minorVersion: number
  /** In the order in which they were sent. For a repeated name the last value counts, as in PostgreSQL. */
  readonly parameters: ReadonlyMap<string, string>
}

/** Returns the length of the first packet from its first four bytes. Throws if no PostgreSQL client would send such a length. */
export function startupPacketLength(buffer: Buffer, start: number): number {
  const length = buffer.readInt32BE(start)
  if (length >= 8 && length <= MAX_STARTUP_PACKET_BYTES) return length
  const what = foreignProtocol(buffer, start)
  if (what) throw new PoolerError('not-postgres', { what })
  throw new PoolerError('bad-startup-packet', { reason: `the startup packet cannot have the length ${length}` })
}

/** Parses a whole first packet. */
export function parseFirstPacket(packet: Buffer): FirstPacket {
  const code = packet.readInt32BE(4)
  if (code === SSL_REQUEST || code === GSSENC_REQUEST) {
    if (packet.length !== 8)
      throw new PoolerError('bad-startup-packet', { reason: 'an encryption request has 8 bytes' })
    return { kind: code === SSL_REQUEST ? 'ssl-request' : 'gss-request' }
  }
  if (code === CANCEL_REQUEST) {
    const keyBytes = packet.length - 12
    if (keyBytes < 4 || keyBytes > MAX_CANCEL_KEY_BYTES)
      throw new PoolerError('bad-startup-packet', { reason: `a cancel key cannot have ${keyBytes} bytes` })
    return { kind: 'cancel', pid: packet.readInt32BE(8), key: Buffer.from(packet.subarray(12)) }
  }
  const major = code >>> 16
  if (major === 2) throw new PoolerError('old-protocol')
  if (major !== 3)
    throw new PoolerError('bad-startup-packet', { reason: `unsupported protocol ${major}.${code & 0xffff}` })
  return { kind: 'startup', minorVersion: code & 0xffff, parameters: parseParameters(packet) }
}

function parseParameters(packet: Buffer): ReadonlyMap<string, string> {
  if (packet[packet.length - 1] !== 0) throw new PoolerError('startup-without-terminator')
  const parameters = new Map<string, string>()
  let at = 8
  while (at < packet.length - 1) {
    const nameEnd = packet.indexOf(0, at)
    const valueEnd = packet.indexOf(0, nameEnd + 1)
    // Each value ends before the terminator. An empty name would be the terminator, and nothing may follow it.
    if (nameEnd === at || valueEnd === -1 || valueEnd >= packet.length - 1)
      throw new PoolerError('startup-without-terminator')
    const name = packet.toString('utf8', at, nameEnd)
    if ((name === 'user' || name === 'database') && valueEnd - nameEnd - 1 > MAX_NAME_BYTES)
      throw new PoolerError('name-too-long', {
        what: name === 'user' ? 'username' : 'database name',
        limit: MAX_NAME_BYTES,
      })
    parameters.set(name, packet.toString('utf8', nameEnd + 1, valueEnd))
    at = valueEnd + 1
  }
  if (at !== packet.length - 1) throw new PoolerError('startup-without-terminator')
  return parameters
}

/** Names another protocol that the peer speaks, if its first four bytes show which. */
function foreignProtocol(buffer: Buffer, start: number): string | null {
  const opening = buffer.toString('latin1', start, start + 4)
  if (/^(GET |POST|PUT |HEAD|DELE|OPTI|PATC|CONN|PRI )/.test(opening)) return 'an HTTP request'
  if (buffer[start] === 0x16 && buffer[start + 1] === 0x03) return 'a TLS handshake'
  if (opening === 'SSH-') return 'an SSH client'
  return null
}

export const SSL_REQUEST_PACKET = Buffer.from([0, 0, 0, 8, ...int32(SSL_REQUEST)])

function int32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]
}

/** Builds the startup packet that we send to a server, always with protocol 3.0. */
export function encodeStartup(parameters: ReadonlyMap<string, string>): Buffer {
  const writer = new Writer().begin().int32(PROTOCOL_3_0)
  for (const [name, value] of parameters) writer.text(name).text(value)
  return writer.byte(0).end().finish()
}

export function encodeCancelRequest(pid: number, key: Buffer): Buffer {
  return new Writer().begin().int32(CANCEL_REQUEST).int32(pid).bytes(key).end().finish()
}
