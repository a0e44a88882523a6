/** The portable transport, on node:net. */

import {
  type AddressInfo,
  connect,
  createServer,
  isIP,
  isIPv6,
  type LookupFunction,
  type OnReadOpts,
  Socket,
} from 'node:net'
import {
  type Address,
  type Channel,
  type Dial,
  type DialListener,
  type DialOptions,
  finishAtOnce,
  type KeepAlive,
  type Listener,
  type ListenOptions,
  READ_BUFFER_BYTES,
  type Transport,
} from './channel.ts'
import { NodeChannel } from './node-channel.ts'
import { connectPath, listeningPath, systemCalls } from './path-sockets.ts'
import { isPath, pathOfDescriptor, portInPath } from './unix-sockets.ts'

export interface NodeTransportOptions {
  /** If false, reads by 'data' events, for a runtime without `onread`: slower, and each chunk allocates its own memory. */
  readonly sharesReadBuffer?: boolean
  /** Called when the system could not hand over a connection. The listener continues. */
  readonly onAcceptFailed?: (problem: Error) => void
}

export function createNodeTransport(options: NodeTransportOptions = {}): Transport {
  const { sharesReadBuffer = true, onAcceptFailed = () => {} } = options
  return {
    name: 'node',
    listen: (where, onAccepted) => listen(where, onAccepted, onAcceptFailed, sharesReadBuffer),
    dial: (where, listener) => dial(where, listener, sharesReadBuffer),
  }
}

/**
 * All sockets of the process read into this buffer: each hands over its bytes before the next one reads, so that none overwrites bytes that
 * are in use. It is never freed, because the sockets hold its bare address.
 */
const readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES)

function listen(
  options: ListenOptions,
  onAccepted: (channel: Channel) => void,
  onAcceptFailed: (problem: Error) => void,
  sharesReadBuffer: boolean,
): Promise<Listener> {
  const onSocket = (accepted: Socket, address: Address) => accept(accepted, address, onAccepted, sharesReadBuffer)
  return listenForSockets(options, onSocket, onAcceptFailed, sharesReadBuffer)
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const KNOWS_REUSE_PORT = major > 23 || (major === 23 && minor >= 1)

/** A connection as the system has handed it over, for code that passes it on. */
export type AcceptedSocket = Socket

/** Returns Node's own object for the connection, which can be sent to another process; null if it no longer exists. */
export function handleOf(accepted: AcceptedSocket): unknown {
  return (accepted as unknown as { readonly _handle?: unknown })._handle ?? null
}

/** Makes a socket of such an object, in the process that received it. Nothing is read from it yet. */
export function socketOf(handle: unknown): AcceptedSocket {
  return new Socket({ handle, allowHalfOpen: true, readable: true, writable: true, pauseOnCreate: true } as object)
}

/** Listens, and hands on accepted connections as they are: to be served here, or by another process. If `isPaused`, nothing is read from them. */
export async function listenForSockets(
  options: ListenOptions,
  onSocket: (accepted: Socket, listening: Address) => void,
  onAcceptFailed: (problem: Error) => void = () => {},
  isPaused = true,
): Promise<Listener> {
  const { host, port, backlog, keepAlive, descriptor, sharesPort = false } = options
  if (sharesPort && descriptor === undefined && !KNOWS_REUSE_PORT)
    throw new Error('so_reuseport on the transport node needs Node 23.1 or later')
  // ipv6Only, so that 0.0.0.0 and :: can have the same port.
  const where =
    descriptor !== undefined
      ? { fd: descriptor, backlog }
      : isPath(host)
        ? { ...listeningPath(options), backlog }
        : { host, port, backlog, ipv6Only: isIPv6(host), reusePort: sharesPort }
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: isPaused, noDelay: true })
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      // Without a listener, this event would end the process. It does not occur when the process runs out of descriptors: libuv keeps one
      // in reserve, with which it accepts such connections and closes them at once.
      server.on('error', onAcceptFailed)
      const bound = server.address()
      const address =
        bound !== null && typeof bound === 'object'
          ? { host: bound.address, port: bound.port }
          : ((host === '' ? inheritedPath(descriptor) : null) ?? { host, port })
      server.on('connection', (accepted) => {
        if (keepAlive.isOn) accepted.setKeepAlive(true, optionsOf(keepAlive).keepAliveInitialDelay)
        onSocket(accepted, address)
      })
      // node:net can stop accepting only by closing.
      const close = () => server.close()
      resolve({ address, close, finish: finishAtOnce(close), pause: () => false, resume() {} })
    })
  })
}

/** Node does not say where an inherited unix socket listens. */
function inheritedPath(descriptor = -1): Address | null {
  const path = pathOfDescriptor(descriptor)
  return path === null ? null : { host: path, port: portInPath(path) }
}

/** Makes a channel of a connection that another process has accepted. */
export function takeOver(accepted: Socket, listening: Address, onAccepted: (channel: Channel) => void): void {
  accept(accepted, listening, onAccepted, true)
}

function accept(
  accepted: Socket,
  listening: Address,
  onAccepted: (channel: Channel) => void,
  sharesReadBuffer: boolean,
): void {
  let channel: NodeChannel | null = null
  const handle = (accepted as unknown as { _handle?: { fd?: number } | null })._handle ?? null
  const adopted = sharesReadBuffer ? adopt(accepted, (bytes) => channel?.receive(readBuffer, bytes)) : null
  const socket = adopted ?? accepted
  const peer = isPath(listening.host) ? processAtOther(handle, listening) : remoteOf(socket)
  if (!peer) {
    // The connection was reset before we looked at it: there is no peer to talk to.
    socket.destroy()
    return
  }
  channel = new NodeChannel(socket, peer, localOf(socket) ?? listening, true)
  if (!adopted) readByEvents(socket, channel)
  onAccepted(channel)
}

/**
 * Reading into our own buffer must be requested when a socket is created, and net.Server does not pass the option on. So this takes the
 * handle out of the socket that the server has created, before that socket has read anything, and creates another socket around the handle.
 * The handle is not a public interface of Node; if it is missing, this returns null and leaves the socket as it was. The emptied socket is
 * destroyed, so that its server does not count it as a connection forever.
 */
function adopt(accepted: Socket, receive: (bytes: number) => void): Socket | null {
  const holder = accepted as unknown as { _handle?: { useUserBuffer?: unknown } | null }
  const handle = holder._handle
  if (!handle?.useUserBuffer) return null
  holder._handle = null
  accepted.destroy()
  return new Socket({ handle, allowHalfOpen: true, readable: true, writable: true, onread: onread(receive) } as object)
}

function dial(options: DialOptions, listener: DialListener, sharesReadBuffer: boolean): Dial {
  const { address, keepAlive, hosts } = options
  let channel: NodeChannel | null = null
  const how = {
    allowHalfOpen: true,
    ...(sharesReadBuffer && { onread: onread((bytes) => channel?.receive(readBuffer, bytes)) }),
  }
  const socket = isPath(address.host)
    ? connectPath(address.host, how)
    : connect({ ...address, ...(hosts && { lookup: lookupIn(hosts) }), ...optionsOf(keepAlive), ...how })
  socket.once('connect', connected)
  socket.on('error', failed)

  function connected(): void {
    socket.off('error', failed)
    channel = new NodeChannel(socket, remoteOf(socket) ?? address, localOf(socket) ?? address, false)
    if (!sharesReadBuffer) readByEvents(socket, channel)
    listener.onConnected(channel)
  }

  function failed(problem: Error): void {
    socket.off('connect', connected)
    listener.onFailed(withMessage(problem))
  }

  return {
    abandon() {
      if (channel) return
      socket.off('connect', connected)
      socket.off('error', failed)
      socket.on('error', () => {})
      socket.destroy()
    },
  }
}

/** Answers with the known addresses, for which Node would otherwise ask the system. */
function lookupIn(hosts: readonly string[]): LookupFunction {
  const all = hosts.map((address) => ({ address, family: isIP(address) }))
  return (_name, options, done) => {
    const [first] = all
    queueMicrotask(() => {
      if (options.all) done(null, all)
      else done(null, first?.address ?? '', first?.family)
    })
  }
}

function onread(receive: (bytes: number) => void): OnReadOpts {
  return {
    buffer: readBuffer,
    callback(bytes) {
      receive(bytes)
      return true
    },
  }
}

function readByEvents(socket: Socket, channel: NodeChannel): void {
  socket.on('data', (chunk) => channel.receive(chunk, chunk.length))
  socket.resume()
}

function optionsOf(keepAlive: KeepAlive) {
  // Node rounds the delay down to seconds, and 0 leaves the system's own.
  const keepAliveInitialDelay = Math.ceil(keepAlive.idleMs / 1_000) * 1_000
  return { noDelay: true, keepAlive: keepAlive.isOn, keepAliveInitialDelay }
}

/** Node does not report which process is at the other end of a unix socket, so the system is asked, where it can be. */
function processAtOther(handle: { readonly fd?: number } | null, listening: Address): Address {
  const calls = systemCalls()
  if (calls === null || handle?.fd === undefined || handle.fd < 0) return listening
  return { ...listening, process: calls.peerProcess(handle.fd) }
}

function remoteOf(socket: Socket): Address | null {
  const { remoteAddress, remotePort } = socket
  return remoteAddress === undefined || remotePort === undefined ? null : { host: remoteAddress, port: remotePort }
}

function localOf(socket: Socket): Address | null {
  const { address, port } = socket.address() as Partial<AddressInfo>
  return address === undefined || port === undefined ? null : { host: address, port }
}

/** When none of a name's addresses answers, Node reports an AggregateError whose own message is empty. */
function withMessage(problem: NodeJS.ErrnoException): Error {
  const { code } = problem
  if (!(problem instanceof AggregateError)) return problem
  const reasons = problem.errors.map((each: Error) => each.message).join(', ')
  return Object.assign(new Error(reasons, { cause: problem }), { code })
}
