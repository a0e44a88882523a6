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
 * How many connections are accepted at a time, before other sockets have their turn. Where they come one by one it is one: asking in
 * vain whether there is another costs a system call each time.
 */
const MAX_ACCEPTS = 64

/** The same where other processes accept from the same queue and should have their part. */
const MAX_SHARED_ACCEPTS = 1

/** How long a handshake may be under way that began with us: whoever is answered in the end would be reset if we had gone. */
const HANDSHAKE_MS = 1_000

/** Who listens for the longest comes first, which is us if there was nobody else until lately; then whoever is to follow us. */
const SUCCESSOR = 1

/** How many may wait when it ends: more than any system lets wait. */
const MAX_WAITING = 65_536

/** While the system has no descriptor or memory left, or watches no more sockets, connections wait in the kernel, and it is tried again after this. */
const RETRY_MS = 100

/** Most connections come from few hosts. */
const hosts = new SharedTexts()

export class EpollListener implements Listener, Pollable {
  readonly descriptor: number
  readonly address: Address
  readonly #poller: Poller
  readonly #onAccepted: (channel: Channel) => void
  readonly #onAcceptFailed: (problem: Error) => void
  /** Where it listens to one address, its channels' own address is known. */
  readonly #local: Address | null
  readonly #isShared: boolean
  readonly #keepAlive: KeepAlive
  /** What its socket has, and accepted ones inherit. */
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

  /** Whoever follows us gets what comes from now on, where the system can do that for a while. */
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
      // Else those who share it for good would all leave it to one of them.
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
        // It has inherited what held when the kernel took it.
        if (inheritance !== 'right')
          setTcpOptions(this.#poller.calls, descriptor, this.#inherited, inheritance === 'changed' ? this.#usual : null)
        if (!this.#accepted(descriptor)) return
      } else if (!isOfConnection(descriptor)) {
        this.#tryLater(systemError('accept', descriptor))
        return
      }
    }
  }

  /** More while there were some left each time. */
  #nextLimit(): number {
    const { looks } = this.#poller
    const wereSomeLeft = looks === this.#lastLook + 1
    this.#lastLook = looks
    this.#limit = this.#isShared ? MAX_SHARED_ACCEPTS : wereSomeLeft ? Math.min(2 * this.#limit, MAX_ACCEPTS) : 1
    return this.#limit
  }

  /**
   * Has sockets that the kernel accepts from now on inherit what holds. Those that it has accepted may have inherited what held before; and
   * where others share the socket, what these have set there.
   */
  #keepUp(): 'right' | 'shared' | 'changed' {
    if (isPath(this.address.host)) return 'right'
    if (isSame(this.#keepAlive, this.#inherited)) return this.#isShared ? 'shared' : 'right'
    const before = this.#inherited
    this.#inherited = snapshotOf(this.#keepAlive)
    setListenerOptions(this.#poller.calls, this.descriptor, this.#inherited, before, this.#usual)
    return 'changed'
  }

  /** Returns whether another one may follow at once. */
  #accepted(descriptor: number): boolean {
    const { calls } = this.#poller
    const peer = isPath(this.address.host) ? processAt(calls, descriptor, this.address) : decodePeer(calls)
    const local = this.#local ?? ownAddress(calls, descriptor)
    if (peer === null || local === null) {
      calls.close(descriptor)
      return true
    }
    const channel = new EpollChannel(this.#poller, descriptor, peer, local)
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
    // One that finishes has not waited for the last try.
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

/** Bound and listening, on the address or path of the options. */
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

/** Where it listens. */
export function addressOf(calls: SystemCalls, descriptor: number, { host, port }: Address): Address {
  return isPath(host) ? { host, port } : (ownAddress(calls, descriptor) ?? { host, port })
}

export function ownAddress(calls: SystemCalls, descriptor: number): Address | null {
  calls.getOwnName(descriptor)
  return decodeAddress(calls.takeAddress())
}

/** The other end of a unix socket has no address of its own; who has opened it is of more interest. */
export function processAt(calls: SystemCalls, descriptor: number, listening: Address): Address {
  return { ...listening, process: calls.peerProcess(descriptor) }
}

function decodePeer(calls: SystemCalls): Address | null {
  const peer = decodeAddress(calls.takeAddress())
  return peer && { host: hosts.share(peer.host), port: peer.port }
}

/** What was to be accepted was gone before we looked, or a firewall forbids it. All else would come again and again: no descriptor, no memory. */
function isOfConnection(errno: number): boolean {
  return errno === ECONNABORTED || errno === EPROTO || errno === EPERM || errno === EINTR
}
