/** IPv4 and IPv6 addresses as bytes. An IPv4 address that is written as an IPv6 address (::ffff:10.0.0.1) counts as an IPv4 address. */

export type IpBytes = readonly number[]

/** Returns 4 or 16 bytes; null if the text is not an address. A zone (%eth0) is left out. */
export function parseIp(text: string): IpBytes | null {
  const plain = text.replace(/%.*$/, '')
  return plain.includes(':') ? parseIpv6(plain) : parseIpv4(plain)
}

/** Whether the first `bits` bits of both are equal. Addresses of different families never are. */
export function isWithin(address: IpBytes, network: IpBytes, bits: number): boolean {
  if (address.length !== network.length) return false
  for (let at = 0; at * 8 < bits; at++) {
    const left = bits - at * 8
    const mask = left >= 8 ? 0xff : (0xff00 >> left) & 0xff
    if ((((address[at] as number) ^ (network[at] as number)) & mask) !== 0) return false
  }
  return true
}

/** Returns how many bits of a mask (255.255.0.0) are set; null if they are not all together at its beginning. */
export function maskBits(mask: IpBytes): number | null {
  const bits = mask.map((byte) => byte.toString(2).padStart(8, '0')).join('')
  const match = /^(1*)0*$/.exec(bits)
  return match ? (match[1] as string).length : null
}

function parseIpv4(text: string): IpBytes | null {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) return null
  return parts.map(Number)
}

function parseIpv6(text: string): IpBytes | null {
  const halves = text.split('::')
  if (halves.length > 2) return null
  const [before, after] = halves.map((half) => groups(half))
  if (before === null || after === null || before === undefined) return null
  const missing = 8 - before.length - (after?.length ?? 0)
  if (after === undefined ? missing !== 0 : missing < 1) return null
  const all = [...before, ...new Array<number>(Math.max(0, missing)).fill(0), ...(after ?? [])]
  const bytes = all.flatMap((group) => [group >> 8, group & 0xff])
  const isMapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff
  return isMapped ? bytes.slice(12) : bytes
}

function groups(text: string): number[] | null {
  if (text === '') return []
  const found: number[] = []
  const parts = text.split(':')
  for (const [index, part] of parts.entries()) {
    const ipv4 = index === parts.length - 1 && part.includes('.') ? parseIpv4(part) : null
    if (ipv4 !== null) {
      const [a = 0, b = 0, c = 0, d = 0] = ipv4
      found.push(a * 256 + b, c * 256 + d)
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) found.push(Number.parseInt(part, 16))
    else return null
  }
  return found
}
