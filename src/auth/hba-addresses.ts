/** The address field of an HBA rule, which says where clients must connect from: addresses, networks, this machine, or hosts by name. */

import { type IpBytes, isWithin, maskBits, parseIp } from '../base/ip.ts'
import { HbaError, type Word } from './hba-words.ts'

/** Returns the addresses of this machine, with the length of their masks. */
export type OwnNetworks = () => readonly { readonly address: string; readonly bits: number }[]

/** What is known of hosts so far. */
export interface KnownHosts {
  /**
   * Whether the address belongs to the host or, if the name begins with a dot, to a host in that domain. null: the name must be looked up
   * first; `unanswered`: it was looked up, without an answer.
   */
  isAt(name: string, address: string): boolean | null | 'unanswered'
}

/** Whether an address matches. null: `hostName` must be looked up first; `unanswered`: it was looked up, without an answer. */
export interface FromTest {
  (address: string, hosts: KnownHosts): boolean | null | 'unanswered'
  readonly hostName?: string
}

export const ANYWHERE: FromTest = () => true

/** Removes the address from the fields, and its mask if that is a field of its own. Throws an `HbaError` if there is no valid address. */
export function readAddress(fields: Word[][], ownNetworks: OwnNetworks): FromTest {
  const word = onlyWord(fields.shift(), 'address')
  if (word === undefined) throw new HbaError('a host rule needs an address')
  const { text, isQuoted } = word
  if (!isQuoted) {
    if (text === 'all') return ANYWHERE
    if (text === 'samehost' || text === 'samenet') return isOwn(text, ownNetworks)
  }
  const [plain = '', length] = text.split(/\/(.*)/s)
  const network = parseIp(plain)
  if (network === null) return isHost(text)
  const bits = length === undefined ? maskOf(onlyWord(fields.shift(), 'mask')?.text, network) : bitsOf(length, network)
  return (host) => {
    const address = parseIp(host)
    return address !== null && isWithin(address, network, bits)
  }
}

/** Returns the word of a field that must have only one. Ignoring a second word could let in a client that the rule is to keep out. */
export function onlyWord(field: readonly Word[] | undefined, what: string): Word | undefined {
  if (field !== undefined && field.length > 1)
    throw new HbaError(`a rule can have only one ${what}; write one rule for each`)
  return field?.[0]
}

/** Whether the word is neither an address nor `all`: a host name, `samehost` or `samenet`. */
export function isNoAddress({ text, isQuoted }: Word): boolean {
  return parseIp(text.split('/')[0] ?? '') === null && (isQuoted || text !== 'all')
}

function isOwn(text: 'samehost' | 'samenet', ownNetworks: OwnNetworks): FromTest {
  return (host) => {
    const address = parseIp(host)
    return (
      address !== null &&
      ownNetworks().some((network) => {
        const own = parseIp(network.address)
        return own !== null && isWithin(address, own, text === 'samenet' ? network.bits : own.length * 8)
      })
    )
  }
}

/** The last label must not consist of digits only, because otherwise a mistyped address would pass for a name. */
const HOST_NAME = /^\.?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*(?!\d+\.?$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.?$/i

const MAX_NAME_LENGTH = 253

function isHost(text: string): FromTest {
  if (text.length > MAX_NAME_LENGTH || !HOST_NAME.test(text))
    throw new HbaError(`"${text}" is neither an address nor a host name`)
  const hostName = text.toLowerCase()
  return Object.assign((address: string, hosts: KnownHosts) => hosts.isAt(hostName, address), { hostName })
}

function bitsOf(length: string, network: IpBytes): number {
  const bits = /^\d{1,3}$/.test(length) ? Number(length) : Infinity
  if (bits > network.length * 8) throw new HbaError(`"/${length}" is not a valid number of bits for this address`)
  return bits
}

function maskOf(text: string | undefined, network: IpBytes): number {
  const mask = text === undefined ? null : parseIp(text)
  const bits = mask === null || mask.length !== network.length ? null : maskBits(mask)
  if (bits === null) throw new HbaError('an address needs /bits, or a mask of the same kind (IPv4 or IPv6)')
  return bits
}
