/** A connection with a second handle. test/e2e/fleet-losses shows how the handle reaches another process and what for. */

import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { createEpollTransport } from '../../../src/net/epoll/epoll-transport.ts'
import { EMFILE, systemError } from '../../../src/net/epoll/syscalls.ts'
import { KeptConnection, secondHandle } from '../../../src/net/kept-connection.ts'
import { createPair } from '../../../src/net/memory-transport.ts'
import { dialed, Recorder, until } from './rigs.ts'

const transport = createEpollTransport()

/** A channel, its second handle, and the peer’s socket. */
async function open() {
  const server = createServer({ allowHalfOpen: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as { port: number }
  const accepted = once(server, 'connection')
  const channel = await dialed(transport, { host: '127.0.0.1', port })
  new Recorder(channel)
  const [peer] = (await accepted) as [Socket]
  peer.on('error', () => {})
  const kept = new KeptConnection(secondHandle(channel)?.handle)
  return { channel, peer, kept }
}

test('the connection stays open after its first owner has closed it, until the second handle is let go too', async () => {
  const { channel, peer, kept } = await open()
  const ended = once(peer, 'end')
  peer.resume()
  channel.destroy()
  let hasEnded = false
  void ended.then(() => {
    hasEnded = true
  })
  // Anything the first owner has sent would arrive before the end.
  await new Promise((resolve) => setImmediate(resolve))
  expect(hasEnded).toBe(false)
  kept.letGo()
  await ended
  peer.destroy()
})

test('finish() reads what still arrives and reports when the peer has closed', async () => {
  const { channel, peer, kept } = await open()
  const ended = once(peer, 'end')
  peer.resume()
  channel.destroy()
  let isOver = false
  kept.finish(() => {
    isOver = true
  })
  await ended
  // More than the kernel takes if nobody reads.
  peer.write(Buffer.alloc(20_000_000))
  await until('everything is read', () => peer.writableLength === 0)
  expect(isOver).toBe(false)
  peer.end()
  await until('the peer has left', () => isOver)
})

test('a connection in memory has no second handle', () => {
  const [channel] = createPair()
  expect(secondHandle(channel)).toBe(null)
})

test('there is no second handle while the process has no free descriptor', async () => {
  const { channel } = await open()
  const duplicate = vi.spyOn(transport.poller.calls, 'duplicate').mockImplementation(() => {
    throw systemError('fcntl', EMFILE)
  })
  onTestFinished(() => duplicate.mockRestore())
  expect(secondHandle(channel)).toBeNull()
  channel.destroy()
})
