/** A channel on node:net writes directly to its descriptor if nothing is queued in its stream. These tests cover what must not be written like that. */

import { once } from 'node:events'
import { readFileSync, readSync } from 'node:fs'
import net from 'node:net'
import tls from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { NodeChannel } from '../../../src/net/node-channel.ts'
import { createNodeTransport } from '../../../src/net/node-transport.ts'
import { certificate } from '../../support/e2e/certificates.ts'
import { dialed, pattern, Recorder, until } from './rigs.ts'

const NOWHERE = { host: '127.0.0.1', port: 0 }

test('data of a TLS socket is written through that socket', async () => {
  const server = tls.createServer({
    key: readFileSync(certificate('server.key')),
    cert: readFileSync(certificate('server.crt')),
  })
  onTestFinished(() => void server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
  const [[far]] = (await Promise.all([once(server, 'secureConnection'), once(socket, 'secureConnect')])) as [
    [tls.TLSSocket],
    unknown,
  ]
  const channel = new NodeChannel(socket, NOWHERE, NOWHERE, false)
  channel.listener = new Recorder(channel)
  onTestFinished(() => channel.destroy())

  const heard = once(far, 'data')
  channel.write(Buffer.from('for the peer alone'), 0, 18)
  const [bytes] = await heard
  expect(String(bytes)).toBe('for the peer alone')
})

test('nothing overtakes the bytes a channel owes, even if the kernel has room again', async () => {
  const { channel, descriptor } = await beside()
  const sent = pattern(8 * 1024 * 1024, 1)
  const taken = channel.write(sent, 0, sent.length - 1)
  expect(taken).toBeLessThan(sent.length - 1)

  // Read without the event loop, so that the channel does not know yet that there is room.
  const received = Buffer.alloc(sent.length)
  let length = take(descriptor, received, 0)
  expect(length).toBeGreaterThan(0)
  expect(channel.write(sent, sent.length - 1, sent.length)).toBe(0)

  await until('all bytes have arrived', () => {
    length = take(descriptor, received, length)
    return length === sent.length
  })
  expect(received.equals(sent)).toBe(true)
})

/** A channel, and the descriptor of its peer, which nothing else reads. */
async function beside() {
  const server = net.createServer({ pauseOnConnect: true })
  onTestFinished(() => void server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection') as Promise<[net.Socket & { _handle: { fd: number } }]>
  const { port } = server.address() as net.AddressInfo
  const channel = await dialed(createNodeTransport(), { host: '127.0.0.1', port })
  onTestFinished(() => channel.destroy())
  const [peer] = await accepted
  onTestFinished(() => void peer.destroy())
  return { channel, descriptor: peer._handle.fd }
}

/** Reads everything available into `into`, from position `from` on. Returns the position after the last byte. */
function take(descriptor: number, into: Buffer, from: number): number {
  let at = from
  try {
    while (at < into.length) at += readSync(descriptor, into, at, into.length - at, null)
  } catch (problem) {
    expect(problem).toMatchObject({ code: 'EAGAIN' })
  }
  return at
}
