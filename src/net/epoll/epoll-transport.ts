/** The transport for Linux: sockets of our own on a poller of our own, without Node's streams. */

import { lookup } from 'node:dns/promises'
import { isIP, type Socket } from 'node:net'
import type { Address, Channel, Listener, ListenOptions, Transport } from '../channel.ts'
import { isPath, removeSocketFile } from '../unix-sockets.ts'
import { decodeAddress, encodeAddress } from './addresses.ts'
import { EpollChannel, WATCHED_FOR } from './epoll-channel.ts'
import { EpollDial } from './epoll-dial.ts'
import { addressOf, EpollListener, openListeningSocket, ownAddress, processAt } from './epoll-listener.ts'
import { Poller } from './poller.ts'
import { Ring } from './ring.ts'
import { isSame, setListenerOptions, snapshotOf, usualOptions } from './socket-options.ts'
import { EAGAIN, EPOLLIN, EPOLLOUT, loadSystemCalls, type SystemCalls } from './syscalls.ts'

export interface EpollTransportOptions {
  /** Called when the system could not hand over a connection: once, and again only if accepting has worked in between. The listener continues. */
  readonly onAcceptFailed?: (problem: Error) => void
  /** Whether many sockets may be received from and sent to by one system call, where the system allows it. */
  readonly usesIoUring?: boolean
}

export interface EpollTransport extends Transport {
  readonly name: 'epoll'
  readonly poller: Poller
  /** Why io_uring is not used; null if it is. */
  readonly withoutIoUring: string | null
}

let poller: Poller | null = null

/** This thread's ring, or why there is none; null before the first attempt. */
let ring: Ring | string | null = null

/** Throws if epoll cannot be used here; the message says why. All transports of a thread share one poller. */
export function createEpollTransport(options: EpollTransportOptions = {}): EpollTransport {
  const { onAcceptFailed = () => {}, usesIoUring = true } = options
  const shared = sharedPoller()
  return {
    name: 'epoll',
    poller: shared,
    withoutIoUring: useIoUring(shared, usesIoUring),
    listen: (options, onAccepted) => listen(shared, options, onAccepted, onAcceptFailed),
    dial: (options, listener) => new EpollDial(shared, options, listener),
  }
}

/** Has the poller use io_uring, or not. Returns the reason if it does not; null if it does. */
function useIoUring(poller: Poller, isWanted: boolean): string | null {
  poller.useRing(null)
  if (!isWanted) return 'as configured'
  ring ??= createRing(poller.calls)
  if (typeof ring === 'string') return ring
  poller.useRing(ring)
  return null
}

/** Returns the poller of this thread. Throws if it cannot be created. */
export function sharedPoller(): Poller {
  poller ??= createPoller()
  return poller
}

async function listen(
  poller: Poller,
  options: ListenOptions,
  onAccepted: (channel: Channel) => void,
  onAcceptFailed: (problem: Error) => void,
): Promise<Listener> {
  const { host } = options
  const isName = options.descriptor === undefined && !isPath(host) && isIP(host) === 0
  const where = isName ? { ...options, host: (await lookup(host)).address } : options
  return new EpollListener(poller, where, onAccepted, onAcceptFailed)
}

/** Opens a listening socket without accepting from it, or takes the one in `options.descriptor`, which listens already. */
export function openListeningDescriptor(options: ListenOptions) {
  const { calls } = sharedPoller()
  const descriptor = options.descriptor ?? openListeningSocket(calls, options)
  const address = addressOf(calls, descriptor, options)
  const usual = usualOptions(calls)
  let inherited = snapshotOf(options.keepAlive)
  let isOpen = true
  return {
    address,
    descriptor,
    keepUp() {
      const before = inherited
      if (!isOpen || isPath(address.host) || isSame(options.keepAlive, before)) return
      inherited = snapshotOf(options.keepAlive)
      setListenerOptions(calls, descriptor, inherited, before, usual)
    },
    close() {
      if (!isOpen) return
      isOpen = false
      calls.close(descriptor)
      if (options.descriptor === undefined) removeSocketFile(address.host)
    },
  }
}

/**
 * Makes a channel of a connection that Node holds as a socket and has not read from yet. Returns false, and leaves the socket as it was, if
 * Node does not reveal its descriptor.
 */
export function takeOver(accepted: Socket, listening: Address, onAccepted: (channel: Channel) => void): boolean {
  const { fd } = (accepted as unknown as { _handle?: { fd?: number } | null })._handle ?? {}
  if (fd === undefined || fd < 0) return false
  const poller = sharedPoller()
  const { calls } = poller
  const descriptor = calls.duplicate(fd)
  // This closes only Node's descriptor, and sends nothing to the peer.
  accepted.destroy()
  const channel = channelOf(poller, descriptor, listening)
  if (channel === null) calls.close(descriptor)
  else onAccepted(channel)
  return true
}

/** Returns null if the connection was reset before we looked at it, or if the system cannot watch any more sockets. */
function channelOf(poller: Poller, descriptor: number, listening: Address): Channel | null {
  const { calls } = poller
  let peer = listening
  let local = listening
  if (isPath(listening.host)) peer = processAt(calls, descriptor, listening)
  else {
    if (calls.getPeerName(descriptor) !== 0) return null
    peer = decodeAddress(calls.takeAddress()) ?? listening
    local = ownAddress(calls, descriptor) ?? listening
  }
  const channel = new EpollChannel(poller, descriptor, peer, local, true)
  try {
    poller.add(channel, WATCHED_FOR)
  } catch {
    return null
  }
  return channel
}

function createPoller(): Poller {
  const calls = loadSystemCalls()
  tryOut(calls)
  return new Poller(calls)
}

/**
 * Checks that structures have the memory layout that is assumed here, and that one epoll descriptor can watch another. Throws otherwise: on
 * a system that differs in this, no result of these calls can be trusted.
 */
function tryOut(calls: SystemCalls): void {
  const [one, other] = calls.socketPair()
  const epoll = calls.createEpoll()
  try {
    calls.watch(epoll, calls.loopDescriptor(), EPOLLIN, 0)
    calls.unwatch(epoll, calls.loopDescriptor())
    calls.watch(epoll, one, EPOLLIN | EPOLLOUT, 0x12345678)
    expect(calls.send(other, Buffer.from('hello'), 1, 5) === 4, 'send')
    expect(calls.wait(epoll, 0, 1) === 1, 'epoll_wait')
    expect(calls.eventDescriptorAt(0) === one && calls.eventGenerationAt(0) === 0x12345678, 'the layout of events')
    expect(calls.eventsAt(0) === (EPOLLIN | EPOLLOUT), 'the kinds of events')
    expect(calls.recv(one) === 4 && calls.readBuffer.toString('latin1', 0, 4) === 'ello', 'recv')
  } finally {
    for (const descriptor of [one, other, epoll]) calls.close(descriptor)
  }
  encodeAddress({ host: '::1', port: 1 })
}

/** Returns a ring that works, or why there is none. */
function createRing(calls: SystemCalls): Ring | string {
  try {
    const ring = new Ring(calls.forRing)
    tryOutRing(ring, calls)
    return ring
  } catch (problem) {
    return (problem as Error).message
  }
}

/** Throws if the ring does not do what is assumed here. */
function tryOutRing(ring: Ring, calls: SystemCalls): void {
  const [one, other] = calls.socketPair()
  const results: number[] = []
  const onSent = (result: number) => void results.push(result)
  try {
    ring.gathered.add({ descriptor: one, isAccepted: true, gatheredAt: -1, onSent }, Buffer.from('hello'), 1, 5)
    ring.gathered.send()
    const places = [ring.addReceive(other), ring.addReceive(other)] as const
    ring.receive()
    expect(results[0] === 4 && ring.resultAt(places[0]) === 4, 'io_uring')
    expect(ring.received.toString('latin1', 0, 4) === 'ello', 'receiving through io_uring')
    expect(ring.resultAt(places[1]) === EAGAIN, 'io_uring with nothing to receive')
  } finally {
    for (const descriptor of [one, other]) calls.close(descriptor)
  }
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`${what} does not work as expected`)
}
