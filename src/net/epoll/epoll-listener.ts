/** A listening socket of the epoll transport. */

import { isIPv6 } from 'node:net'
import { SharedTexts } from '../../base/shared-texts.ts'
import type { Address, Channel, KeepAlive, Listener, ListenOptions } from '../channel.ts'
import { isPath, removeSocketFile } from '../unix-sockets.ts'
import { decodeAddress, encodeAddress, familyOf } from './addresses.ts'
import { EpollChannel, WATCHED_FOR } from './epoll-channel.ts'
import type { Pollable, Poller } from './poller.ts'
import {
  isSame,
  setListenerOptions,
  setTcpOptions,
  snapshotOf,
  type UsualOptions,
  usualOptions,
} from './socket-options.ts'
import { EAGAIN, ECONNABORTED, EINTR, EPERM, EPOLLIN, EPROTO, type SystemCalls, systemError } from './syscalls.ts'

/**
 * The most connections that are accepted at a time before other sockets have their turn. While connections come one by one, only one is
 * accepted: each attempt to find another one would cost a system call.
 */
const MAX_ACCEPTS = 64

/** The same, where other processes accept from the same queue and should get their share. */
const MAX_SHARED_ACCEPTS = 1

/**
 * How long a finishing listener waits for TCP handshakes that began with it. If it closed earlier, a client whose handshake completes
 * afterwards would be reset.
 */
const HANDSHAKE_MS = 1_000

/**
 * An index among the sockets that share the port, in the order in which they began to listen. If nobody else listened until recently, ours
 * has index 0 and our successor's has index 1.
 */
const SUCCESSOR = 1

/** How many waiting connections are accepted at the end: more than any system lets wait. */
const MAX_WAITING = 65_536

/**
 * While the system has no descriptor or memory left, or cannot watch any more sockets, connections wait in the kernel, and accepting is
 * tried again after this time.
 */
const RETRY_MS = 100

/** Shares equal texts, since most connections come from few hosts. */
const hosts = new SharedTexts()

export class EpollListener implements Listener, Pollable {
  readonly descriptor: number
  readonly address: Address
  readonly #poller: Poller
  readonly #onAccepted: (channel: Channel) => void
  readonly #onAcceptFailed: (problem: Error) => void
  /** The local address of all accepted channels, if this listens on one address; null if on any. */
  readonly #local: Address | null
  readonly #isShared: boolean
  readonly #keepAlive: KeepAlive
  /** The options that the listening socket has, and that accepted sockets inherit. */
  #inherited: KeepAlive
  readonly #usual: UsualOptions
  readonly #sharesPort: boolean
  #finishing: NodeJS.Timeout | null = null
  #isOpen = true
  #isPaused = false
  #retry: NodeJS.Timeout | null = null
  #isShort = false
  #isWatched = true
  #limit = 1
  #lastLook = 0

  constructor(
    poller: Poller,
    options: ListenOptions,
    onAccepted: (channel: Channel) => void,
    onAcceptFailed: (problem: Error) => void,
  ) {
    this.#poller = poller
    this.#onAccepted = onAccepted
    this.#onAcceptFailed = onAcceptFailed
    this.#isShared = options.descriptor !== undefined
    this.#sharesPort = options.sharesPort === true && !isPath(options.host)
    this.#keepAlive = options.keepAlive
    this.#inherited = snapshotOf(options.keepAlive)
    this.#usual = usualOptions(poller.calls)
    this.descriptor = options.descriptor ?? openListeningSocket(poller.calls, options)
    this.address = addressOf(poller.calls, this.descriptor, options)
    if (this.#isShared) {
      poller.calls.neverBlock(this.descriptor)
      if (!isPath(this.address.host)) setListenerOptions(poller.calls, this.descriptor, options.keepAlive, null)
    }
    const isAny = this.address.host === '0.0.0.0' || this.address.host === '::'
    this.#local = isAny ? null : this.address
    poller.add(this, EPOLLIN)
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    for (const timer of [this.#retry, this.#finishing]) if (timer) clearTimeout(timer)
    // Closing does not end the watch while another process has the same socket.
    this.#watch(false)
    this.#poller.close(this.descriptor)
    if (!this.#isShared) removeSocketFile(this.address.host)
  }

  finish(finished: () => void): void {
    if (!this.#isOpen || this.#finishing !== null) finished()
    else if (this.#leavePort()) this.#finishing = setTimeout(() => this.#finishNow(finished), HANDSHAKE_MS)
    else this.#finishNow(finished)
  }

  /** Directs new connections to our successor, if the system can do that and undo it. Returns whether it can. */
  #leavePort(): boolean {
    const { calls } = this.#poller
    if (!this.#sharesPort || !calls.sharePortAgain(this.descriptor)) return false
    try {
      calls.leavePortTo(this.descriptor, SUCCESSOR)
      return true
    } catch {
      return false
    }
  }

  #finishNow(finished: () => void): void {
    if (this.#isOpen) {
      this.#watch(false)
      this.#acceptUpTo(MAX_WAITING)
      // Otherwise the processes that continue to share the port would leave all connections to one of them.
      if (this.#sharesPort) this.#poller.calls.sharePortAgain(this.descriptor)
      this.close()
    }
    finished()
  }

  pause(): boolean {
    this.#isPaused = true
    if (this.#isOpen) this.#watch(false)
    return true
  }

  resume(): void {
    this.#isPaused = false
    if (this.#isOpen && this.#retry === null) this.#watch(true)
  }

  onEvents(): void {
    if (!this.#isPaused) this.#acceptUpTo(this.#nextLimit())
  }

  #acceptUpTo(limit: number): void {
    const inheritance = this.#keepUp()
    for (let count = 0; count < limit && this.#isOpen; count++) {
      const descriptor = this.#poller.calls.accept(this.descriptor)
      if (descriptor === EAGAIN) return
      if (descriptor >= 0) {
        // The socket has inherited the options that held when the kernel accepted it.
        if (inheritance !== 'right')
          setTcpOptions(this.#poller.calls, descriptor, this.#inherited, inheritance === 'changed' ? this.#usual : null)
        if (!this.#accepted(descriptor)) return
      } else if (!isOfConnection(descriptor)) {
        this.#tryLater(systemError('accept', descriptor))
        return
      }
    }
  }

  /** Returns how many connections to accept now: twice as many as the last time while consecutive looks find some, otherwise one. */
  #nextLimit(): number {
    const { looks } = this.#poller
    const wereSomeLeft = looks === this.#lastLook + 1
    this.#lastLook = looks
    this.#limit = this.#isShared ? MAX_SHARED_ACCEPTS : wereSomeLeft ? Math.min(2 * this.#limit, MAX_ACCEPTS) : 1
    return this.#limit
  }

  /**
   * Sets the current options on the listening socket, so that sockets which the kernel accepts from now on inherit them. Sockets that it
   * has accepted already may have inherited earlier options (`changed`) or, if other processes share the listening socket, options that
   * those have set there (`shared`).
   */
  #keepUp(): 'right' | 'shared' | 'changed' {
    if (isPath(this.address.host)) return 'right'
    if (isSame(this.#keepAlive, this.#inherited)) return this.#isShared ? 'shared' : 'right'
    const before = this.#inherited
    this.#inherited = snapshotOf(this.#keepAlive)
    setListenerOptions(this.#poller.calls, this.descriptor, this.#inherited, before, this.#usual)
    return 'changed'
  }

  /** Returns whether another connection may be accepted at once. */
  #accepted(descriptor: number): boolean {
    const { calls } = this.#poller
    const peer = isPath(this.address.host) ? processAt(calls, descriptor, this.address) : decodePeer(calls)
    const local = this.#local ?? ownAddress(calls, descriptor)
    if (peer === null || local === null) {
      calls.close(descriptor)
      return true
    }
    const channel = new EpollChannel(this.#poller, descriptor, peer, local, true)
    try {
      this.#poller.add(channel, WATCHED_FOR)
    } catch (problem) {
      calls.close(descriptor)
      this.#tryLater(problem as Error)
      return false
    }
    this.#isShort = false
    this.#onAccepted(channel)
    return true
  }

  #tryLater(problem: Error): void {
    this.#watch(false)
    if (!this.#isShort) this.#onAcceptFailed(problem)
    this.#isShort = true
    // `#finishNow` accepts without waiting for a retry that is scheduled.
    if (this.#retry) clearTimeout(this.#retry)
    this.#retry = setTimeout(() => {
      this.#retry = null
      if (!this.#isPaused) this.#watch(true)
    }, RETRY_MS)
  }

  #watch(isWatched: boolean): void {
    if (isWatched === this.#isWatched) return
    this.#isWatched = isWatched
    if (!isWatched) {
      this.#poller.unwatch(this.descriptor)
      return
    }
    try {
      this.#poller.watch(this.descriptor, EPOLLIN)
    } catch (problem) {
      this.#isWatched = false
      this.#tryLater(problem as Error)
    }
  }
}

/** Returns a socket that is bound to the address or path of the options and listens. Throws the system's error. */
export function openListeningSocket(calls: SystemCalls, options: ListenOptions): number {
  const { host, port, backlog, keepAlive, sharesPort = false } = options
  const address = encodeAddress({ host, port })
  const about = isPath(host) ? host : `${host}:${port}`
  const descriptor = calls.socket(familyOf(address))
  try {
    if (!isPath(host)) {
      calls.setOption(descriptor, 'SO_REUSEADDR', 1)
      if (sharesPort) calls.setOption(descriptor, 'SO_REUSEPORT', 1)
      // So that 0.0.0.0 and :: can have the same port.
      if (isIPv6(host)) calls.setOption(descriptor, 'IPV6_V6ONLY', 1)
      setListenerOptions(calls, descriptor, keepAlive, null)
    }
    calls.bind(descriptor, address, about)
    calls.listen(descriptor, backlog, about)
  } catch (problem) {
    calls.close(descriptor)
    throw Object.assign(problem as Error, { address: host, port })
  }
  return descriptor
}

/** Returns where a socket listens. */
export function addressOf(calls: SystemCalls, descriptor: number, { host, port }: Address): Address {
  return isPath(host) ? { host, port } : (ownAddress(calls, descriptor) ?? { host, port })
}

export function ownAddress(calls: SystemCalls, descriptor: number): Address | null {
  calls.getOwnName(descriptor)
  return decodeAddress(calls.takeAddress())
}

/**
 * Returns the address of a unix socket's peer: that of the listening socket, since the other end has none of its own, with the process that
 * opened it.
 */
export function processAt(calls: SystemCalls, descriptor: number, listening: Address): Address {
  return { ...listening, process: calls.peerProcess(descriptor) }
}

function decodePeer(calls: SystemCalls): Address | null {
  const peer = decodeAddress(calls.takeAddress())
  return peer && { host: hosts.share(peer.host), port: peer.port }
}

/**
 * Whether the error concerns one connection only: it was gone before we looked, or a firewall forbids it. Any other error, such as a lack
 * of descriptors or memory, would come again and again.
 */
function isOfConnection(errno: number): boolean {
  return errno === ECONNABORTED || errno === EPROTO || errno === EPERM || errno === EINTR
}
