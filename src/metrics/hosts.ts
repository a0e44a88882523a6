/**
 * Protects HTTP servers that only this machine can reach from DNS rebinding: a foreign page in a local browser could make its own host name
 * resolve to 127.0.0.1 and then read our answers. So the Host header must name this machine. Pure.
 */

// A host in the form of an address is safe, since a browser does not look it up by DNS.
const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/
const IPV6 = /^[0-9a-f:.]*:[0-9a-f:.]*$/i

/** Whether only this machine can reach a server that listens at this address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (IPV4.test(host) && host.startsWith('127.'))
}

/**
 * Whether a request's Host header is an address or a name of this machine, which no foreign site can have.
 *
 * @param host the header; a client that sends none is not a browser and is accepted
 */
export function isOurs(host: string | undefined, machine: string): boolean {
  if (host === undefined || host === '') return true
  const [, bracketed, plain = ''] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? []
  if (bracketed !== undefined) return IPV6.test(bracketed)
  const name = plain.toLowerCase().replace(/\.$/, '')
  const names = [machine.toLowerCase(), machine.toLowerCase().split('.')[0]]
  return IPV4.test(name) || name === 'localhost' || name.endsWith('.localhost') || names.includes(name)
}
