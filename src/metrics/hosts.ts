/**
 * Whom a request says that it is for, where only this machine can ask: a page of elsewhere that a browser here has loaded could have its own
 * name lead to 127.0.0.1, and would read what it is not for. Pure.
 */

// What looks like an address is none that a browser asks a name server about.
const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/
const IPV6 = /^[0-9a-f:.]*:[0-9a-f:.]*$/i

/** Whether nobody but this machine can ask at this address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (IPV4.test(host) && host.startsWith('127.'))
}

/**
 * Addresses and the names of this machine belong to nobody else.
 * @param host the header of the request; who sends none is no browser
 */
export function isOurs(host: string | undefined, machine: string): boolean {
  if (host === undefined || host === '') return true
  const [, bracketed, plain = ''] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? []
  if (bracketed !== undefined) return IPV6.test(bracketed)
  const name = plain.toLowerCase().replace(/\.$/, '')
  const names = [machine.toLowerCase(), machine.toLowerCase().split('.')[0]]
  return IPV4.test(name) || name === 'localhost' || name.endsWith('.localhost') || names.includes(name)
}
