/** A TCP relay between the pooler and PostgreSQL whose connections can be cut. */

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import type { RawAddress } from './raw-client.ts'

export interface Cable extends RawAddress {
  /** Lets this many more bytes from PostgreSQL pass over all connections together, then cuts them. */
  cutAfter(bytes: number): void
  /** Lets nothing pass in either direction from now on, but keeps all connections open. */
  freeze(): void
  thaw(): void
}

export async function layCable(target: RawAddress): Promise<Cable> {
  const sockets = new Set<Socket>()
  let budget = Number.POSITIVE_INFINITY
  const server = createServer((near) => {
    const far = connect({ ...target, noDelay: true })
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    near.on('data', (chunk) => far.write(chunk))
    far.on('data', (chunk: Buffer) => {
      near.write(chunk.subarray(0, budget))
      budget -= chunk.length
      if (budget <= 0) near.destroySoon()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const address = server.address()
  return {
    host: '127.0.0.1',
    port: typeof address === 'object' && address ? address.port : 0,
    cutAfter(bytes) {
      budget = bytes
    },
    freeze() {
      for (const socket of sockets) socket.pause()
    },
    thaw() {
      budget = Number.POSITIVE_INFINITY
      for (const socket of sockets) socket.resume()
    },
  }
}
