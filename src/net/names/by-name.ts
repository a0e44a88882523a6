/** A transport that resolves the names of hosts by `Names` before it dials. */

import { isIP } from 'node:net'
import type { Dial, DialListener, DialOptions, Transport } from '../channel.ts'
import { isPath } from '../unix-sockets.ts'
import type { Names } from './names.ts'

export function dialsByName(transport: Transport, names: Names): Transport {
  return { ...transport, dial: (options, listener) => dial(transport, names, options, listener) }
}

function dial(transport: Transport, names: Names, options: DialOptions, listener: DialListener): Dial {
  const { host } = options.address
  if (isPath(host) || isIP(host) !== 0) return transport.dial(options, listener)
  let isAbandoned = false
  let within: Dial | null = null
  const takeBack = names.find(host, (found) => {
    if (isAbandoned) return
    if (!(found instanceof Error)) within = transport.dial({ ...options, hosts: found }, listener)
    // The listener must not be called before `dial` has returned.
    else queueMicrotask(() => isAbandoned || listener.onFailed(found))
  })
  return {
    abandon() {
      isAbandoned = true
      takeBack()
      within?.abandon()
    },
  }
}
