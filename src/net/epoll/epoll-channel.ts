/** Hot path: a channel on a descriptor of its own. Per chunk one `recv` or one `send`, and nothing is allocated. */

import { type Address, type Channel, type ChannelListener, LINGER_MS } from '../channel.ts'
import { NOBODY } from '../nobody.ts'
import { Debt } from './debt.ts'
import type { Pollable, Poller } from './poller.ts'
import { EAGAIN, ECONNRESET, EINTR, ENOBUFS, ENOMEM, EPIPE, EPOLLIN, EPOLLOUT, systemError } from './syscalls.ts'

/**
 * `closing`: we are leaving, and the listener is told when that is over. `delivering`: the peer has said goodbye, which the listener was
 * told, and gets what we still owe it. `closed`: the descriptor is gone.
 */
type State = 'open' | 'closing' | 'delivering' | 'closed'

const SEND_AND_END = ~EPOLLIN

export class EpollChannel implements Channel, Pollable {
  readonly descriptor: number
  readonly peer: Address
  readonly local: Address
  listener: ChannelListener = NOBODY
  readonly #poller: Poller
  #state: State = 'open'
  #isPaused = false
  /** What the poller watches for now. */
  #interest = EPOLLIN
  #debt: Debt | null = null
  /** A write has failed: what is written is forgotten, and what the peer sent before is still read. */
  #writeErrno = 0
  /** The peer's goodbye was read while we were leaving. */
  #sawEnd = false
  #lingering: NodeJS.Timeout | null = null

  /** The socket is connected; the poller is told by whoever makes the channel. */
  constructor(poller: Poller, descriptor: number, peer: Address, local: Address) {
    this.#poller = poller
    this.descriptor = descriptor
    this.peer = peer
    this.local = local
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  get owedBytes(): number {
    return this.#debt === null ? 0 : this.#debt.bytes
  }

  write(buffer: Buffer, start: number, end: number): number {
    const length = end - start
    if (this.#state !== 'open' || this.#writeErrno !== 0) return length
    if (this.#debt !== null) {
      this.#debt.add(buffer, start, end)
      return 0
    }
    // An empty span would be taken for an end by a socket that keeps the bounds of what is sent.
    if (length === 0) return 0
    const taken = this.#send(buffer, start, end)
    if (taken === length) return length
    if (taken < 0) {
      this.#writeFailed(taken)
      return length
    }
    this.#debt = new Debt()
    this.#debt.add(buffer, start + taken, end)
    this.#watch(this.#interest | EPOLLOUT)
    return taken
  }

  /** That we do not want to read is told to the kernel only once there is something to read: most pauses are over before. */
  pause(): void {
    if (this.#state === 'open') this.#isPaused = true
  }

  resume(): void {
    if (this.#state !== 'open') return
    this.#isPaused = false
    if ((this.#interest & EPOLLIN) === 0) this.#watch(this.#interest | EPOLLIN)
  }

  close(): void {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    this.#isPaused = false
    if (this.#writeErrno !== 0) {
      this.#endSoon(null)
      return
    }
    if (this.#debt === null) this.#poller.calls.shutdown(this.descriptor)
    if ((this.#interest & EPOLLIN) === 0) this.#watch(this.#interest | EPOLLIN)
    this.#linger()
  }

  destroy(): void {
    if (this.#state === 'closed') return
    if (this.#state === 'delivering') this.#release()
    else this.#endSoon(null)
  }

  onEvents(events: number): void {
    if (this.#debt !== null && (events & SEND_AND_END) !== 0 && this.#payDebt(this.#debt)) return
    if (this.#state === 'open') {
      if (this.#isPaused) this.#watch(this.#debt === null ? 0 : EPOLLOUT)
      else this.#read()
    } else if (this.#state === 'closing') this.#drop()
  }

  #read(): void {
    const { calls } = this.#poller
    const bytes = calls.recv(this.descriptor)
    if (bytes > 0) this.listener.onRead(calls.readBuffer, 0, bytes)
    else if (bytes === 0) this.#peerLeft()
    else if (bytes !== EAGAIN && bytes !== EINTR) this.#end(systemError('read', bytes))
  }

  /** What comes while we are leaving. */
  #drop(): void {
    const bytes = this.#poller.calls.recv(this.descriptor)
    if (bytes > 0 || bytes === EAGAIN || bytes === EINTR) return
    if (bytes === 0 && this.#debt !== null) {
      this.#sawEnd = true
      this.#watch(EPOLLOUT)
    } else this.#end(null)
  }

  /** Returns whether the turn of this socket is over: the listener was told something, or the socket is gone. */
  #payDebt(debt: Debt): boolean {
    const failure = debt.pay(this.#poller.calls, this.descriptor)
    if (failure !== 0) {
      this.#debt = null
      if (this.#state === 'open') {
        if (!this.#isPaused) this.#watch(EPOLLIN)
        this.#writeFailed(failure)
        return false
      }
      this.#endAfterDelivery()
      return true
    }
    if (debt.bytes > 0) return false
    this.#debt = null
    if (this.#state === 'open') {
      this.#watch(this.#isPaused ? this.#interest & EPOLLIN : EPOLLIN)
      this.listener.onDrained()
      return true
    }
    if (this.#state === 'delivering' || this.#sawEnd) this.#endAfterDelivery()
    else {
      this.#poller.calls.shutdown(this.descriptor)
      this.#watch(EPOLLIN)
    }
    return true
  }

  #send(buffer: Buffer, start: number, end: number): number {
    const taken = this.#poller.calls.send(this.descriptor, buffer, start, end)
    return taken === EAGAIN || taken === EINTR || taken === ENOBUFS || taken === ENOMEM ? 0 : taken
  }

  /**
   * The connection is broken, and yet the peer's last words may wait to be read: a server that shuts down says why. Who does not read
   * would never know.
   */
  #writeFailed(errno: number): void {
    this.#writeErrno = errno
    const isReading = !this.#isPaused && (errno === EPIPE || errno === ECONNRESET)
    if (!isReading) this.#endSoon(systemError('write', errno))
  }

  /** All that the peer sent was handed over, and its FIN was read. Who hears of it should not wait until the peer has read our last bytes. */
  #peerLeft(): void {
    if (this.#debt === null) {
      this.#end(this.#writeErrno === ECONNRESET ? systemError('write', this.#writeErrno) : null)
      return
    }
    this.#state = 'delivering'
    this.#watch(EPOLLOUT)
    this.#linger()
    this.listener.onClosed(null)
  }

  /** A peer that neither takes our last bytes nor says goodbye is left behind. */
  #linger(): void {
    this.#lingering = setTimeout(() => this.#endAfterDelivery(), LINGER_MS)
    this.#lingering.unref()
  }

  #endAfterDelivery(): void {
    if (this.#state === 'closing') this.#end(null)
    else this.#release()
  }

  #end(problem: Error | null): void {
    this.#release()
    this.listener.onClosed(problem)
  }

  #endSoon(problem: Error | null): void {
    this.#release()
    queueMicrotask(() => this.listener.onClosed(problem))
  }

  #release(): void {
    this.#state = 'closed'
    this.#debt = null
    if (this.#lingering) clearTimeout(this.#lingering)
    this.#poller.close(this.descriptor)
  }

  #watch(interest: number): void {
    if (interest === this.#interest) return
    this.#poller.change(this.descriptor, this.#interest, interest)
    this.#interest = interest
  }
}
