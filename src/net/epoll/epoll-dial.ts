/** A dial of the epoll transport: resolves a name and tries its addresses in turn, until one answers. */

import dns from 'node:dns'
import { isIP } from 'node:net'
import type { Address, Dial, DialListener, DialOptions, KeepAlive } from '../channel.ts'
import { isPath } from '../unix-sockets.ts'
import { encodeAddress, familyOf } from './addresses.ts'
import { EpollChannel, WATCHED_FOR } from './epoll-channel.ts'
import { ownAddress } from './epoll-listener.ts'
import type { Pollable, Poller } from './poller.ts'
import { setTcpOptions } from './socket-options.ts'
import { EAGAIN, EINPROGRESS, EPOLLOUT, systemError } from './syscalls.ts'

/** If an address has not answered after this time, the next one is tried beside it (RFC 8305). */
const NEXT_ATTEMPT_MS = 250

/** Connecting to a unix socket whose backlog is full fails instead of waiting, so the dial tries again after this time. */
const BUSY_RETRY_MS = 10

type State = 'resolving' | 'trying' | 'over'

export class EpollDial implements Dial {
  readonly #poller: Poller
  readonly #options: DialOptions
  readonly #listener: DialListener
  readonly #attempts = new Set<Attempt>()
  readonly #problems: Error[] = []
  #state: State = 'resolving'
  /** Addresses still to be tried. */
  #addresses: Address[] = []
  #timer: NodeJS.Timeout | null = null

  constructor(poller: Poller, options: DialOptions, listener: DialListener) {
    this.#poller = poller
    this.#options = options
    this.#listener = listener
    const { host, port } = options.address
    const known = options.hosts ?? (isPath(host) || isIP(host) !== 0 ? [host] : null)
    // The listener must not be called before `dial` has returned.
    if (known !== null) queueMicrotask(() => this.#found(known.map((each) => ({ host: each, port }))))
    else
      dns.lookup(host, { all: true }, (problem, found) => {
        if (problem) this.#fail(problem)
        else this.#found(found.map(({ address }) => ({ host: address, port })))
      })
  }

  abandon(): void {
    this.#finish()
  }

  #found(addresses: Address[]): void {
    if (this.#state !== 'resolving') return
    this.#state = 'trying'
    this.#addresses = addresses
    this.#tryNext()
  }

  #tryNext(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    const address = this.#addresses.shift()
    if (!address) {
      if (this.#attempts.size === 0) this.#fail(summaryOf(this.#problems))
      return
    }
    if (this.#addresses.length > 0) this.#timer = setTimeout(() => this.#tryNext(), NEXT_ATTEMPT_MS)
    this.#try(address)
  }

  #try(address: Address): void {
    let attempt: Attempt
    try {
      attempt = new Attempt(this.#poller, address, this.#options.keepAlive, (errno) => this.#ended(attempt, errno))
    } catch (problem) {
      this.#problems.push(problem as Error)
      this.#tryNext()
      return
    }
    this.#attempts.add(attempt)
    attempt.begin()
  }

  #ended(attempt: Attempt, errno: number): void {
    this.#attempts.delete(attempt)
    const { peer } = attempt
    if (errno === 0) {
      const local = isPath(peer.host) ? peer : (ownAddress(this.#poller.calls, attempt.descriptor) ?? peer)
      const channel = new EpollChannel(this.#poller, attempt.descriptor, peer, local, false)
      this.#poller.replace(channel, WATCHED_FOR)
      this.#finish()
      this.#listener.onConnected(channel)
      return
    }
    attempt.abandon()
    this.#problems.push(connectError(errno, peer))
    this.#tryNext()
  }

  #fail(problem: Error): void {
    if (this.#state === 'over') return
    this.#finish()
    this.#listener.onFailed(problem)
  }

  #finish(): void {
    this.#state = 'over'
    if (this.#timer) clearTimeout(this.#timer)
    for (const attempt of this.#attempts) attempt.abandon()
    this.#attempts.clear()
  }
}

/** One socket that is being connected. */
class Attempt implements Pollable {
  readonly descriptor: number
  readonly peer: Address
  readonly #poller: Poller
  readonly #tell: (errno: number) => void
  #retry: NodeJS.Timeout | null = null

  constructor(poller: Poller, peer: Address, keepAlive: KeepAlive, tell: (errno: number) => void) {
    this.#poller = poller
    this.peer = peer
    this.#tell = tell
    const { calls } = poller
    this.descriptor = calls.socket(familyOf(encodeAddress(peer)))
    if (!isPath(peer.host)) setTcpOptions(calls, this.descriptor, keepAlive)
    poller.add(this, 0)
  }

  begin(): void {
    const result = this.#poller.calls.connect(this.descriptor, encodeAddress(this.peer))
    if (result === 0 || result === EINPROGRESS) this.#watch()
    else if (result === EAGAIN && isPath(this.peer.host)) this.#retry = setTimeout(() => this.begin(), BUSY_RETRY_MS)
    else this.#tell(result)
  }

  #watch(): void {
    try {
      this.#poller.watch(this.descriptor, EPOLLOUT)
    } catch (problem) {
      this.#tell((problem as NodeJS.ErrnoException).errno as number)
    }
  }

  onEvents(): void {
    this.#tell(this.#poller.calls.takeError(this.descriptor))
  }

  abandon(): void {
    if (this.#retry) clearTimeout(this.#retry)
    this.#poller.close(this.descriptor)
  }
}

function connectError(errno: number, { host, port }: Address): Error {
  const about = isPath(host) ? host : `${host}:${port}`
  return Object.assign(systemError('connect', errno, about), { address: host, port })
}

function summaryOf(problems: readonly Error[]): Error {
  const [first] = problems
  if (first === undefined) return new Error('the name has no address')
  if (problems.length === 1) return first
  const reasons = problems.map(({ message }) => message).join(', ')
  return Object.assign(new Error(reasons, { cause: first }), { code: (first as NodeJS.ErrnoException).code })
}
