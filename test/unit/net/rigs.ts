/** Opens the channels for the tests of the channel contract. Each rig opens one, with a peer at its other end. */

import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import tls from 'node:tls'
import { onTestFinished } from 'vitest'
import type { Channel, ChannelListener, KeepAlive, Transport } from '../../../src/net/channel.ts'
import { createEpollTransport, type EpollTransport } from '../../../src/net/epoll/epoll-transport.ts'
import { type Cut, createPair, type MemoryChannel } from '../../../src/net/memory-transport.ts'
import { createNodeTransport } from '../../../src/net/node-transport.ts'
import { askedForTls, offeredTls } from '../../../src/net/secured.ts'
import { type ClientSide, createTlsContext, type ServerSide } from '../../../src/net/tls.ts'
import { certificate } from '../../support/e2e/certificates.ts'

export const NO_KEEP_ALIVE: KeepAlive = { isOn: false, idleMs: 0 }
export const LOOPBACK = { host: '127.0.0.1', port: 0, backlog: 128, keepAlive: NO_KEEP_ALIVE }

/** The program at the other end. */
export interface Peer {
  readonly received: Received
  /** The number of bytes that it could not write to the connection yet. */
  readonly unsentBytes: number
  readonly ending: 'none' | 'fin' | 'reset'
  send(bytes: Buffer): void
  stopReading(): void
  startReading(): void
  /** Closes its sending side and continues to read. */
  hangUp(): void
  leave(): void
  reset(): void
}

export interface Rig {
  readonly name: string
  /** More bytes than the kernels hold between a writer and a reader that does not read. */
  readonly floodBytes: number
  /** Whether the connection is encrypted, so that more bytes are sent than are written. */
  readonly isSealed?: boolean
  open(): Promise<{ channel: Channel; peer: Peer }>
}

const MEMORY = { floodBytes: 512 * 1024 }
const NODE = { floodBytes: 16 * 1024 * 1024 }
const byEvents = createNodeTransport({ sharesReadBuffer: false })

export const RIGS: readonly Rig[] = [
  { ...MEMORY, name: 'memory, glued', open: () => openMemory('glued') },
  { ...MEMORY, name: 'memory, cut into 1000 bytes', open: () => openMemory(1000) },
  { ...MEMORY, name: 'memory, cut at random', open: () => openMemory({ seed: 7, most: 500 }) },
  { ...NODE, name: 'node, accepted', open: () => openAccepted(createNodeTransport()) },
  { ...NODE, name: 'node, dialed', open: () => openDialed(createNodeTransport()) },
  { ...NODE, name: 'node, accepted, by events', open: () => openAccepted(byEvents) },
  { ...NODE, name: 'node, dialed, by events', open: () => openDialed(byEvents) },
  { ...NODE, name: 'epoll, accepted', open: () => openAccepted(withoutRing()) },
  { ...NODE, name: 'epoll, dialed', open: () => openDialed(withoutRing()) },
  { ...NODE, name: 'epoll, gathering, accepted', open: () => openAccepted(gathering(false)) },
  { ...NODE, name: 'epoll with io_uring, accepted', open: () => openAccepted(gathering(true)) },
  { ...NODE, name: 'epoll with io_uring, dialed', open: () => openDialed(gathering(true)) },
  { ...MEMORY, isSealed: true, name: 'TLS on memory, glued', open: () => openSealedMemory('glued') },
  {
    ...MEMORY,
    isSealed: true,
    name: 'TLS on memory, cut at random',
    open: () => openSealedMemory({ seed: 7, most: 500 }),
  },
  { ...NODE, isSealed: true, name: 'TLS on epoll, accepted', open: () => openOffered(withoutRing()) },
  { ...NODE, isSealed: true, name: 'TLS on epoll, dialed', open: () => openAsked(withoutRing()) },
  { ...NODE, isSealed: true, name: 'TLS on epoll with io_uring, accepted', open: () => openOffered(gathering(true)) },
  { ...NODE, isSealed: true, name: 'TLS on epoll with io_uring, dialed', open: () => openAsked(gathering(true)) },
  { ...NODE, isSealed: true, name: 'TLS on node, accepted', open: () => openOffered(createNodeTransport()) },
  { ...NODE, isSealed: true, name: 'TLS on node, dialed', open: () => openAsked(createNodeTransport()) },
]

function withoutRing(): EpollTransport {
  return createEpollTransport({ usesIoUring: false })
}

/** Gathers the writes of single events, too, and uses io_uring for them if it may and the system has it. */
export function gathering(usesIoUring: boolean): EpollTransport {
  const transport = createEpollTransport({ usesIoUring })
  const { poller } = transport
  const before = poller.gatherFrom
  poller.gatherFrom = 1
  onTestFinished(() => {
    poller.gatherFrom = before
  })
  return transport
}

const KEYS = { key: readFileSync(certificate('server.key')), cert: readFileSync(certificate('server.crt')) }

export const OFFER: ServerSide = {
  context: createTlsContext(KEYS, true),
  certificate: new X509Certificate(KEYS.cert).raw,
  verifiesPeer: false,
}

export const WISH: ClientSide = { context: createTlsContext({}, false), verifies: 'nothing' }

/** The received bytes, in order. */
export class Received {
  readonly #chunks: Buffer[] = []
  length = 0

  add(bytes: Buffer): void {
    this.#chunks.push(Buffer.from(bytes))
    this.length += bytes.length
  }

  all(): Buffer {
    return Buffer.concat(this.#chunks)
  }
}

/** Listens to a channel, records its calls, and throws if one comes when it must not. */
export class Recorder implements ChannelListener {
  readonly received = new Received()
  drains = 0
  readonly closings: (Error | null)[] = []
  /** Called with each span while it is valid. */
  onSpan: (buffer: Buffer, start: number, end: number) => void = () => {}
  readonly #channel: Channel
  #isBusy = false
  #isSilenced = false

  constructor(channel: Channel) {
    this.#channel = channel
    channel.listener = this
  }

  onRead(buffer: Buffer, start: number, end: number): void {
    this.#hear('bytes', () => {
      if (!(start < end && end <= buffer.length)) throw new Error(`a span from ${start} to ${end} of ${buffer.length}`)
      this.received.add(buffer.subarray(start, end))
      this.onSpan(buffer, start, end)
    })
  }

  onDrained(): void {
    this.#hear('drained', () => {
      if (this.#channel.owedBytes > 0) throw new Error('drained, and yet it owes')
      this.drains++
    })
  }

  onClosed(problem: Error | null): void {
    this.#isSilenced = false
    this.#hear('closed', () => this.closings.push(problem))
  }

  /** Does something to the channel after which the only call that may come is `onClosed`, and that only after `act` has returned. */
  silenced(act: () => void): void {
    const closings = this.closings.length
    act()
    if (this.closings.length > closings) throw new Error('closed was told before the call had returned')
    this.#isSilenced = true
  }

  #hear(what: string, act: () => void): void {
    if (this.#isBusy) throw new Error(`${what}: told while the listener was busy`)
    if (this.#isSilenced || this.closings.length > 0) throw new Error(`${what}: told after the end`)
    this.#isBusy = true
    act()
    this.#isBusy = false
  }
}

/** Waits until a condition holds; gives up after ten seconds. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const givesUpAtMs = performance.now() + 10_000
  while (!holds()) {
    if (performance.now() > givesUpAtMs) throw new Error(`never came true: ${what}`)
    await nextTurn()
  }
}

/** Lets the event loop poll all sockets a few times, so that everything that can happen has happened. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await nextTurn()
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Bytes in which each group of 4 holds its own position, so that lost, repeated or moved bytes are noticed. */
export function pattern(length: number, salt = 0): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4))
  for (let at = 0; at < words.length; at++) words[at] = at + salt * 0x9e3779b1
  return Buffer.from(words.buffer, 0, length)
}

async function openMemory(cut: Cut): Promise<{ channel: Channel; peer: Peer }> {
  const [channel, far] = createPair({ cut })
  onTestFinished(() => {
    channel.destroy()
    far.destroy()
  })
  return { channel, peer: new MemoryPeer(far, far) }
}

async function openAccepted(transport: Transport): Promise<{ channel: Channel; peer: Peer }> {
  const accepting = deferred<Channel>()
  const listener = await transport.listen(LOOPBACK, (accepted) => {
    accepted.listener = new Recorder(accepted)
    accepting.resolve(accepted)
  })
  onTestFinished(() => listener.close())
  const peer = new SocketPeer(net.connect({ ...listener.address, allowHalfOpen: true }))
  const channel = await accepting.promise
  onTestFinished(() => channel.destroy())
  return { channel, peer }
}

async function openDialed(transport: Transport): Promise<{ channel: Channel; peer: Peer }> {
  const accepting = deferred<Peer>()
  const server = net.createServer({ allowHalfOpen: true }, (socket) => accepting.resolve(new SocketPeer(socket)))
  const address = await new Promise<net.AddressInfo>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(server.address() as net.AddressInfo))
  })
  onTestFinished(() => void server.close())
  const channel = await dialed(transport, { host: address.address, port: address.port })
  onTestFinished(() => channel.destroy())
  return { channel, peer: await accepting.promise }
}

/** Opens TLS over a pair of memory channels, with both ends in our own implementation. */
async function openSealedMemory(cut: Cut): Promise<{ channel: Channel; peer: Peer }> {
  const [near, far] = createPair({ cut })
  onTestFinished(() => {
    near.destroy()
    far.destroy()
  })
  const channel = offeredTls(near, OFFER, { isDirect: false }) as Channel
  const other = askedForTls(far, WISH, 'localhost', { isDirect: false }) as Channel
  const peer = new MemoryPeer(other, far)
  await until('hands are shaken', () => channel.tls !== '' && other.tls !== '')
  return { channel, peer }
}

async function openOffered(transport: Transport): Promise<{ channel: Channel; peer: Peer }> {
  const accepting = deferred<Channel>()
  const listener = await transport.listen(LOOPBACK, (accepted) =>
    accepting.resolve(offeredTls(accepted, OFFER, { isDirect: false }) as Channel),
  )
  onTestFinished(() => listener.close())
  const socket = net.connect({ ...listener.address, allowHalfOpen: true })
  const peer = new SocketPeer(tls.connect({ socket, rejectUnauthorized: false, allowHalfOpen: true } as object), socket)
  const channel = await accepting.promise
  onTestFinished(() => channel.destroy())
  await until('hands are shaken', () => channel.tls !== '')
  return { channel, peer }
}

async function openAsked(transport: Transport): Promise<{ channel: Channel; peer: Peer }> {
  const accepting = deferred<Peer>()
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    const secured = new tls.TLSSocket(socket, { ...KEYS, isServer: true, allowHalfOpen: true } as object)
    secured.once('secure', () => accepting.resolve(new SocketPeer(secured, socket)))
  })
  const address = await new Promise<net.AddressInfo>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(server.address() as net.AddressInfo))
  })
  onTestFinished(() => void server.close())
  const carrier = await dialed(transport, { host: address.address, port: address.port })
  const channel = askedForTls(carrier, WISH, 'localhost', { isDirect: false }) as Channel
  onTestFinished(() => channel.destroy())
  await until('hands are shaken', () => channel.tls !== '')
  return { channel, peer: await accepting.promise }
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

export function dialed(transport: Transport, address: { host: string; port: number }): Promise<Channel> {
  return new Promise((resolve, reject) => {
    transport.dial({ address, keepAlive: NO_KEEP_ALIVE }, { onConnected: resolve, onFailed: reject })
  })
}

/** A peer on a socket of node:net, or on TLS over one. */
export class SocketPeer implements Peer {
  readonly received = new Received()
  ending: 'none' | 'fin' | 'reset' = 'none'
  readonly #socket: net.Socket
  /** What is below, if it is not that. */
  readonly #carrier: net.Socket

  constructor(socket: net.Socket, carrier = socket) {
    this.#socket = socket
    this.#carrier = carrier
    socket.on('data', (chunk) => this.received.add(chunk))
    socket.on('end', () => {
      this.ending = 'fin'
      socket.end()
    })
    socket.on('error', () => {
      this.ending = 'reset'
    })
    onTestFinished(() => void socket.destroy())
  }

  get unsentBytes(): number {
    return this.#socket.writableLength
  }

  send(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  stopReading(): void {
    this.#socket.pause()
  }

  startReading(): void {
    this.#socket.resume()
  }

  hangUp(): void {
    this.#socket.end()
  }

  leave(): void {
    this.#socket.destroy()
  }

  reset(): void {
    this.#carrier.resetAndDestroy()
  }
}

class MemoryPeer implements Peer {
  readonly received = new Received()
  ending: 'none' | 'fin' | 'reset' = 'none'
  readonly #far: Channel
  /** What is below, if it is not that. */
  readonly #carrier: MemoryChannel

  constructor(far: Channel, carrier: MemoryChannel) {
    this.#far = far
    this.#carrier = carrier
    far.listener = {
      onRead: (buffer, start, end) => this.received.add(buffer.subarray(start, end)),
      onDrained() {},
      onClosed: (problem) => {
        this.ending = problem ? 'reset' : 'fin'
      },
    }
  }

  get unsentBytes(): number {
    return this.#far.owedBytes
  }

  send(bytes: Buffer): void {
    this.#far.write(bytes, 0, bytes.length)
  }

  stopReading(): void {
    this.#far.pause()
  }

  startReading(): void {
    this.#far.resume()
  }

  hangUp(): void {
    this.#carrier.hangUp()
  }

  leave(): void {
    this.#far.destroy()
  }

  reset(): void {
    this.#carrier.reset()
  }
}
