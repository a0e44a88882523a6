/** Parses the files of the system's resolver, for when pgweir asks name servers by itself: resolv.conf(5) and hosts(5). Pure. */

import { isIP, SocketAddress } from 'node:net'
import type { NameServers } from './look-up.ts'

/** Skips what it does not understand, as the system does. Here a server may also have a port: `127.0.0.1:5353`, `[::1]:5353`. */
export function parseResolvConf(text: string): NameServers {
  const servers: string[] = []
  let search: string[] = []
  const options = new Map<string, number>()
  for (const [keyword, ...words] of linesOf(text)) {
    const [first = ''] = words
    if (keyword === 'nameserver' && isServer(first)) servers.push(first)
    else if (keyword === 'search') search = words
    else if (keyword === 'domain') search = [first]
    else if (keyword === 'options')
      for (const word of words) {
        const [name = '', value = ''] = word.split(':')
        if (/^\d{1,3}$/.test(value)) options.set(name, Number(value))
      }
  }
  return {
    servers,
    search: search.map((domain) => domain.replace(/\.$/, '')).filter((domain) => domain !== ''),
    ndots: options.get('ndots') ?? 1,
    timeoutMs: (options.get('timeout') || 5) * 1_000,
    attempts: options.get('attempts') || 2,
  }
}

/** Returns the addresses of each name. Names are in lower case. */
export function parseHosts(text: string): ReadonlyMap<string, readonly string[]> {
  const hosts = new Map<string, string[]>()
  for (const [written = '', ...names] of linesOf(text)) {
    if (isIP(written) === 0) continue
    const address = asSystemWritesIt(written)
    for (const name of names) {
      const known = hosts.get(name.toLowerCase())
      if (known === undefined) hosts.set(name.toLowerCase(), [address])
      else if (!known.includes(address)) known.push(address)
    }
  }
  return hosts
}

/** Returns an address in the system's spelling, which a connected server's address has: `FD00::0:1` would look like another place than `fd00::1`. */
function asSystemWritesIt(address: string): string {
  // A zone (%eth0) is kept.
  const [, ip = '', zone = ''] = /^([^%]*)(.*)$/.exec(address) ?? []
  return isIP(ip) === 6 ? new SocketAddress({ address: ip, family: 'ipv6' }).address + zone : address
}

function linesOf(text: string): string[][] {
  return text
    .split('\n')
    .map((line) => line.replace(/[#;].*/, '').trim())
    .filter((line) => line !== '')
    .map((line) => line.split(/\s+/))
}

function isServer(word: string): boolean {
  if (isIP(word) !== 0) return true
  const withPort = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(word)
  return withPort !== null && isIP(withPort[1] ?? withPort[2] ?? '') !== 0
}
