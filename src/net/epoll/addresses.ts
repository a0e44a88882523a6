/** Addresses as the kernel writes them: `struct sockaddr` of IPv4, IPv6 and unix sockets. */

import { isIPv4, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { Address } from '../channel.ts'
import { isAbstract, isPath, portInPath, refuseIfTooLong } from '../unix-sockets.ts'

/** The size of `struct sockaddr_storage`, the longest address that there is. */
export const MAX_ADDRESS_BYTES = 128

export type EncodedAddress = Buffer

const AF_UNIX = 1
const AF_INET = 2
const AF_INET6 = 10
const IPV4_BYTES = 16
const IPV6_BYTES = 28
const PATH_AT = 2
const FAMILY_UNIX = Buffer.from([AF_UNIX, 0])

export function familyOf(address: EncodedAddress): number {
  return address.readUInt16LE(0)
}

/** Encodes an address or a path. Throws if the host is a name. */
export function encodeAddress({ host, port }: Address): EncodedAddress {
  if (isPath(host)) return encodePath(host)
  if (isIPv4(host)) {
    const encoded = Buffer.alloc(IPV4_BYTES)
    encoded.writeUInt16LE(AF_INET, 0)
    encoded.writeUInt16BE(port, 2)
    host.split('.').forEach((byte, index) => {
      encoded[4 + index] = Number(byte)
    })
    return encoded
  }
  if (isIPv6(host)) return encodeIpv6(host, port)
  throw new Error(`"${host}" is neither an address nor a path`)
}

/** Returns null if there is no address, such as for the client's end of a unix socket. */
export function decodeAddress(encoded: EncodedAddress): Address | null {
  if (encoded.length < PATH_AT) return null
  switch (familyOf(encoded)) {
    case AF_INET:
      return { host: `${encoded[4]}.${encoded[5]}.${encoded[6]}.${encoded[7]}`, port: encoded.readUInt16BE(2) }
    case AF_INET6:
      return { host: decodeIpv6(encoded), port: encoded.readUInt16BE(2) }
    case AF_UNIX:
      return decodePath(encoded.subarray(PATH_AT))
    default:
      return null
  }
}

/** The port of a unix socket is in its name, where clients of PostgreSQL look for it. */
function decodePath(bytes: Buffer): Address | null {
  if (bytes.length === 0) return null
  const isAbstract = bytes[0] === 0
  const end = isAbstract ? bytes.length : bytes.indexOf(0)
  const host = isAbstract ? `@${bytes.toString('utf8', 1)}` : bytes.toString('utf8', 0, end < 0 ? bytes.length : end)
  return { host, port: portInPath(host) }
}

function encodePath(path: string): EncodedAddress {
  refuseIfTooLong(path)
  const bytes = Buffer.from(path)
  if (isAbstract(path)) {
    // An abstract name has its exact length: no zero byte ends it.
    bytes[0] = 0
    return Buffer.concat([FAMILY_UNIX, bytes])
  }
  const encoded = Buffer.alloc(PATH_AT + bytes.length + 1)
  encoded.writeUInt16LE(AF_UNIX, 0)
  bytes.copy(encoded, PATH_AT)
  return encoded
}

function encodeIpv6(host: string, port: number): EncodedAddress {
  const [groups = '', zone] = host.split('%')
  const [before = [], after] = groups.split('::').map((part) => (part === '' ? [] : part.split(':').flatMap(groupsOf)))
  const missing = after === undefined ? 0 : 8 - before.length - after.length
  const all = [...before, ...new Array<number>(missing).fill(0), ...(after ?? [])]
  const encoded = Buffer.alloc(IPV6_BYTES)
  encoded.writeUInt16LE(AF_INET6, 0)
  encoded.writeUInt16BE(port, 2)
  all.forEach((group, index) => {
    encoded.writeUInt16BE(group, 8 + 2 * index)
  })
  if (zone !== undefined) encoded.writeUInt32LE(indexOfZone(zone), 24)
  return encoded
}

/** Returns one group, or the two groups that an IPv4 address at the end stands for. */
function groupsOf(text: string): number[] {
  if (!text.includes('.')) return [Number.parseInt(text, 16)]
  const [a = 0, b = 0, c = 0, d = 0] = text.split('.').map(Number)
  return [a * 256 + b, c * 256 + d]
}

function indexOfZone(zone: string): number {
  const index = Number(zone)
  if (Number.isInteger(index)) return index
  const found = networkInterfaces()[zone]?.find((each) => each.family === 'IPv6')
  if (!found || !('scopeid' in found)) throw new Error(`there is no network interface ${zone} with an IPv6 address`)
  return found.scopeid
}

/** Writes the address as RFC 5952 and Node do: the longest run of zeros is left out. */
function decodeIpv6(encoded: EncodedAddress): string {
  const groups = Array.from({ length: 8 }, (_, index) => encoded.readUInt16BE(8 + 2 * index))
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  if (isMapped) return `::ffff:${encoded[20]}.${encoded[21]}.${encoded[22]}.${encoded[23]}`
  let longest = { start: -1, length: 1 }
  for (let start = 0; start < groups.length; ) {
    let end = start
    while (groups[end] === 0) end++
    if (end - start > longest.length) longest = { start, length: end - start }
    start = end + 1
  }
  const hex = groups.map((group) => group.toString(16))
  if (longest.start === -1) return hex.join(':')
  return `${hex.slice(0, longest.start).join(':')}::${hex.slice(longest.start + longest.length).join(':')}`
}
