/** The transport of Linux: sockets of our own on a poller of our own, without streams. */

import type { Channel, Listener, ListenOptions, Transport } from '../channel.ts'
import { encodeAddress } from './addresses.ts'
import { EpollDial } from './epoll-dial.ts'
import { EpollListener } from './epoll-listener.ts'
import { Poller } from './poller.ts'
import { EPOLLIN, EPOLLOUT, loadSystemCalls, type SystemCalls } from './syscalls.ts'

export interface EpollTransportOptions {
  /** Told when the system could not hand over a connection, once until it can again; the listener goes on. */
  readonly onAcceptFailed?: (problem: Error) => void
}

export interface EpollTransport extends Transport {
  readonly poller: Poller
}

let poller: Poller | null = null

/** Throws where it cannot run; the message tells why. All transports of a thread share one poller. */
export function createEpollTransport({ onAcceptFailed = () => {} }: EpollTransportOptions = {}): EpollTransport {
  poller ??= createPoller()
  const shared = poller
  return {
    name: 'epoll',
    poller: shared,
    listen: async (options, onAccepted) => listen(shared, options, onAccepted, onAcceptFailed),
    dial: (options, listener) => new EpollDial(shared, options, listener),
  }
}

async function listen(
  poller: Poller,
  options: ListenOptions,
  onAccepted: (channel: Channel) => void,
  onAcceptFailed: (problem: Error) => void,
): Promise<Listener> {
  return new EpollListener(poller, options, onAccepted, onAcceptFailed)
}

function createPoller(): Poller {
  const calls = loadSystemCalls()
  tryOut(calls)
  return new Poller(calls)
}

/** That memory looks as we think, and that descriptors may be nested: on a system that is different nothing must be believed. */
function tryOut(calls: SystemCalls): void {
  const [one, other] = calls.socketPair()
  const epoll = calls.createEpoll()
  try {
    calls.watch(epoll, calls.loopDescriptor(), EPOLLIN, 0)
    calls.unwatch(epoll, calls.loopDescriptor())
    calls.watch(epoll, one, EPOLLIN | EPOLLOUT, 0x12345678)
    expect(calls.send(other, Buffer.from('hello'), 1, 5) === 4, 'send')
    expect(calls.wait(epoll, 0) === 1, 'epoll_wait')
    expect(calls.eventDescriptorAt(0) === one && calls.eventGenerationAt(0) === 0x12345678, 'the layout of events')
    expect(calls.eventsAt(0) === (EPOLLIN | EPOLLOUT), 'the kinds of events')
    expect(calls.recv(one) === 4 && calls.readBuffer.toString('latin1', 0, 4) === 'ello', 'recv')
  } finally {
    for (const descriptor of [one, other, epoll]) calls.close(descriptor)
  }
  encodeAddress({ host: '::1', port: 1 })
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`${what} did not do what it should`)
}
