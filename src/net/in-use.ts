/** Whether somebody listens already, for who wants to know it without listening. */

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
    // A queue that is full is somebody's, too.
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'EAGAIN'))
  })
}

/** What else may be wrong with an address is told when it is listened on. */
function canBind(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'EADDRINUSE'))
    server.listen({ host, port, exclusive: true, ipv6Only: isIPv6(host) }, () => server.close(() => resolve(true)))
  })
}
