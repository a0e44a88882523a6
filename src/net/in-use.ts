/** Tells whether a process listens at an address already, for code that does not want to listen there itself. */

import { createServer, isIPv6 } from 'node:net'
import type { Address } from './channel.ts'
import { connectPath } from './path-sockets.ts'
import { isPath } from './unix-sockets.ts'

export async function isInUse({ host, port }: Address): Promise<boolean> {
  return isPath(host) ? isAnswered(host) : !(await canBind(host, port))
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectPath(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    // A full queue belongs to a process that listens, too.
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'EAGAIN'))
  })
}

/** Other problems with an address are reported when it is listened on. */
function canBind(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'EADDRINUSE'))
    server.listen({ host, port, exclusive: true, ipv6Only: isIPv6(host) }, () => server.close(() => resolve(true)))
  })
}
