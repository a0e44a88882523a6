/**
 * Hot path: a channel on a descriptor of its own. Per chunk one `recv` or one `send`, and nothing is allocated.
 *
 * It is told of changes, not of states (EPOLLET): that saves the kernel from looking at each socket twice, and the process from telling the
 * kernel of each pause. What follows is that whoever does not take all that there is must ask to be told again: see `#again`.
 */

import { Socket } from 'node:net'
import { type Address, type Channel, type ChannelListener, LINGER_MS, READ_BUFFER_BYTES } from '../channel.ts'
import { NOBODY } from '../nobody.ts'
import { Debt } from './debt.ts'
import type { Pollable, Poller } from './poller.ts'
import {
  EAGAIN,
  ECONNRESET,
  EPIPE,
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  isForNow,
  systemError,
} from './syscalls.ts'

/**
 * `closing`: we are leaving, and the listener is told when that is over. `delivering`: the peer has said goodbye, which the listener was
 * told, and gets what we still owe it. `closed`: the descriptor is gone.
 */
type State = 'open' | 'closing' | 'delivering' | 'closed'

/** What a new channel is watched for. That it may write is of interest only once it owes something. */
export const WATCHED_FOR = EPOLLIN | EPOLLRDHUP | EPOLLET
const READABLE = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR
const WRITABLE = EPOLLOUT | EPOLLHUP | EPOLLERR
/** Behind the bytes comes an end, of which nothing more is told. */
const ENDS = EPOLLRDHUP | EPOLLHUP | EPOLLERR

export class EpollChannel implements Channel, Pollable {
  readonly descriptor: number
  readonly peer: Address
  readonly local: Address
  listener: ChannelListener = NOBODY
  readonly #poller: Poller
  #state: State = 'open'
  #isPaused = false
  /** There may be something to read of which nothing more is told. */
  #isUnread = false
  #watchedFor = WATCHED_FOR
  #debt: Debt | null = null
  /** A write has failed: what is written is forgotten, and what the peer sent before is still read. */
  #writeErrno = 0
  #lingering: NodeJS.Timeout | null = null
  #isShared = false

  /** The socket is connected, and whoever makes the channel has it watched for `WATCHED_FOR`. */
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

  /** A second descriptor of the same connection, which goes on until both are closed. It belongs to whoever asks. */
  share(): number {
    this.#isShared = true
    return this.#poller.calls.duplicate(this.descriptor)
  }

  get tls(): string {
    return ''
  }

  get certificateName(): null {
    return null
  }

  get serverCertificate(): null {
    return null
  }

  takeSocket(): Socket | null {
    if (this.#state !== 'open' || this.#debt !== null || this.#writeErrno !== 0) return null
    let descriptor: number
    try {
      descriptor = this.share()
    } catch {
      // The system has none left.
      return null
    }
    this.#release()
    return new Socket({ fd: descriptor, allowHalfOpen: true, readable: true, writable: true })
  }

  write(buffer: Buffer, start: number, end: number): number {
    const length = end - start
    if (this.#state !== 'open' || this.#writeErrno !== 0) return length
    if (this.#debt !== null) {
      this.#debt.add(buffer, start, end)
      return 0
    }
    if (length === 0) return 0
    let taken = this.#poller.calls.send(this.descriptor, buffer, start, end)
    if (taken === length) return length
    const hadNoRoom = taken >= 0 || taken === EAGAIN
    if (taken < 0) {
      if (!isForNow(taken)) {
        this.#writeFailed(taken)
        return length
      }
      taken = 0
    }
    this.#debt = new Debt()
    this.#debt.add(buffer, start + taken, end)
    // A kernel that had no room tells when it has, if it was asked to once.
    if ((this.#watchedFor & EPOLLOUT) === 0 || !hadNoRoom) {
      this.#watchedFor = WATCHED_FOR | EPOLLOUT
      this.#again()
    }
    return taken
  }

  pause(): void {
    if (this.#state === 'open') this.#isPaused = true
  }

  resume(): void {
    if (this.#state !== 'open' || !this.#isPaused) return
    this.#isPaused = false
    if (this.#isUnread) this.#again()
  }

  close(): void {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    const { calls } = this.#poller
    // Most clients leave right behind their last message: then there is nobody to wait for.
    const isOver = this.#debt === null && this.#isUnread && calls.isAtEnd(this.descriptor)
    if (isOver || this.#writeErrno !== 0) {
      this.#endSoon(null)
      return
    }
    if (this.#debt === null) calls.shutdown(this.descriptor)
    if (this.#isUnread) this.#again()
    this.#linger()
  }

  destroy(): void {
    if (this.#state === 'closed') return
    if (this.#state === 'delivering') this.#release()
    else this.#endSoon(null)
  }

  onEvents(events: number): void {
    if (this.#debt !== null && (events & WRITABLE) !== 0) this.#payDebt(this.#debt)
    if ((events & READABLE) === 0) return
    if (this.#state === 'open') this.#read(events)
    // Also if it is leaving since it read: the peer's goodbye may have come with its last words.
    if (this.#state === 'closing') this.#drop(events)
  }

  #read(events: number): void {
    if (this.#isPaused) {
      this.#isUnread = true
      return
    }
    const { calls } = this.#poller
    const bytes = calls.recv(this.descriptor)
    if (bytes <= 0) {
      if (bytes === 0) this.#peerLeft()
      else if (bytes !== EAGAIN) this.#readFailed(bytes)
      return
    }
    this.#isUnread = bytes === READ_BUFFER_BYTES || (events & ENDS) !== 0
    this.listener.onRead(calls.readBuffer, 0, bytes)
    if (this.#isUnread && this.#state === 'open' && !this.#isPaused) this.#again()
  }

  /** What comes while we are leaving. */
  #drop(events: number): void {
    const bytes = this.#poller.calls.recv(this.descriptor)
    if (bytes === READ_BUFFER_BYTES || (bytes > 0 && (events & ENDS) !== 0)) this.#again()
    else if (bytes === 0 && this.#debt === null) this.#end(null)
    else if (bytes < 0 && !isForNow(bytes)) this.#end(null)
  }

  #payDebt(debt: Debt): void {
    const failure = debt.pay(this.#poller.calls, this.descriptor)
    if (failure !== 0) {
      this.#debt = null
      if (this.#state === 'open') this.#writeFailed(failure)
      else this.#delivered()
      return
    }
    if (debt.bytes > 0) {
      if (!debt.isBlocked) this.#again()
      return
    }
    this.#debt = null
    if (this.#state === 'open') this.listener.onDrained()
    else if (this.#state === 'delivering') this.#delivered()
    else {
      this.#poller.calls.shutdown(this.descriptor)
      // Its goodbye may have been read already, while we owed.
      this.#again()
    }
  }

  /**
   * The connection is broken, and yet the peer's last words may wait to be read: a server that shuts down says why. Who does not read
   * would never know.
   */
  #writeFailed(errno: number): void {
    this.#writeErrno = errno
    const isReading = !this.#isPaused && (errno === EPIPE || errno === ECONNRESET)
    if (isReading) this.#again()
    else this.#endSoon(systemError('write', errno))
  }

  #readFailed(errno: number): void {
    if (isForNow(errno)) this.#again()
    else this.#end(systemError('read', errno))
  }

  /** All that the peer sent was handed over, and its FIN was read. Who hears of it should not wait until the peer has read our last bytes. */
  #peerLeft(): void {
    if (this.#debt === null) {
      this.#end(this.#writeErrno === ECONNRESET ? systemError('write', ECONNRESET) : null)
      return
    }
    this.#state = 'delivering'
    this.#linger()
    this.listener.onClosed(null)
  }

  /** A peer that neither takes our last bytes nor says goodbye is left behind. */
  #linger(): void {
    this.#lingering = setTimeout(() => this.#delivered(), LINGER_MS)
    this.#lingering.unref()
  }

  #delivered(): void {
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
    if (this.#isShared) this.#poller.unwatch(this.descriptor)
    this.#poller.close(this.descriptor)
  }

  /** Has the poller look at the socket anew, behind all others that wait: what it can do now is told then. */
  #again(): void {
    this.#isUnread = false
    this.#poller.change(this.descriptor, this.#watchedFor)
  }
}
