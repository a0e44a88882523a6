/**
 * Hot path: a channel on a socket descriptor of its own. Each chunk costs one `recv` or one `send`, or a part of a system call that serves
 * many sockets (see `Ring`), and nothing is allocated.
 *
 * The socket is watched edge-triggered (EPOLLET): epoll reports changes, not states. That saves the kernel from looking at each socket
 * twice, and it saves us from telling the kernel about each pause. In return, code that leaves bytes unread must ask for another event: see
 * `#again`.
 */

import { Socket } from 'node:net'
import { eventBegins, eventEnds } from '../../base/after-event.ts'
import { type Address, type Channel, type ChannelListener, LINGER_MS, READ_BUFFER_BYTES } from '../channel.ts'
import { NOT_MADE, type Sender } from '../gathered-writes.ts'
import { NOBODY } from '../nobody.ts'
import { Debt } from './debt.ts'
import type { Pollable, Poller } from './poller.ts'
import { RECEIVED_BYTES } from './ring.ts'
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
 * `closing`: we have closed the channel, and `onClosed` follows when that is over. `delivering`: the peer has closed, the listener was
 * told, and the peer still gets the bytes that we owe it. `closed`: the descriptor is closed.
 */
type State = 'open' | 'closing' | 'delivering' | 'closed'

/** The epoll events that a new channel is watched for. EPOLLOUT is added only once bytes are owed. */
export const WATCHED_FOR = EPOLLIN | EPOLLRDHUP | EPOLLET
const READABLE = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR
const WRITABLE = EPOLLOUT | EPOLLHUP | EPOLLERR
/** Events that announce an end behind the unread bytes. No further event reports that end. */
const ENDS = EPOLLRDHUP | EPOLLHUP | EPOLLERR

export class EpollChannel implements Channel, Pollable, Sender {
  readonly descriptor: number
  readonly peer: Address
  readonly local: Address
  readonly isAccepted: boolean
  listener: ChannelListener = NOBODY
  readonly #poller: Poller
  #state: State = 'open'
  #isPaused = false
  /** There may be something to read for which no further event comes. */
  #isUnread = false
  #watchedFor = WATCHED_FOR
  #debt: Debt | null = null
  /** The errno of a failed write, or 0. After a failed write, further writes are discarded, but what the peer sent before is still read. */
  #writeErrno = 0
  #lingering: NodeJS.Timeout | null = null
  #isShared = false
  /** Bytes that were received before the channel was paused by the event of another socket. */
  #held: Buffer | null = null
  /** So much arrives at once that the ring's room for one socket does not suffice. */
  #isFlooded = false
  gatheredAt = -1

  /** The socket must be connected. The caller has the poller watch it for `WATCHED_FOR`. */
  constructor(poller: Poller, descriptor: number, peer: Address, local: Address, isAccepted: boolean) {
    this.#poller = poller
    this.descriptor = descriptor
    this.peer = peer
    this.local = local
    this.isAccepted = isAccepted
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  get owedBytes(): number {
    return this.#debt === null ? 0 : this.#debt.bytes
  }

  /**
   * Returns a second descriptor of the same connection, which stays open until both descriptors are closed. The caller owns it. Throws if
   * the system has no descriptor left.
   */
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
    this.#sendGathered()
    if (this.#state !== 'open' || this.#debt !== null || this.#writeErrno !== 0) return null
    if (this.#held !== null || this.#poller.hasReceived(this.descriptor)) return null
    let descriptor: number
    try {
      descriptor = this.share()
    } catch {
      // The system has no descriptor left.
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
    if (this.#poller.gather(this, buffer, start, end)) return length
    if (this.gatheredAt !== -1) {
      this.#sendGathered()
      return this.write(buffer, start, end)
    }
    return this.#settle(this.#poller.calls.send(this.descriptor, buffer, start, end), buffer, start, end)
  }

  onSent(result: number, buffer: Buffer, start: number, end: number): void {
    const { calls } = this.#poller
    const taken = result === NOT_MADE ? calls.send(this.descriptor, buffer, start, end) : result
    if (this.#state !== 'closed') this.#settle(taken, buffer, start, end)
  }

  /** Sends at once what was written during the current look. */
  #sendGathered(): void {
    if (this.gatheredAt !== -1) this.#poller.sendGathered()
  }

  /** `result` is that of sending these bytes. Returns how many of them were taken; the rest is owed. */
  #settle(result: number, buffer: Buffer, start: number, end: number): number {
    const length = end - start
    if (result === length) return length
    let taken = result
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
    // If the kernel had no room and EPOLLOUT is watched already, epoll reports by itself when there is room. If EPOLLOUT is not watched
    // yet, or the call failed for another reason (EINTR, ENOBUFS, ENOMEM), no event would come, so ask for one.
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
    // The held bytes are delivered after `resume` has returned, not within it.
    if (this.#held !== null) setImmediate(deliverHeld, this)
    else if (this.#isUnread) this.#again()
  }

  close(): void {
    this.#sendGathered()
    if (this.#state !== 'open') return
    this.#state = 'closing'
    this.#held = null
    const { calls } = this.#poller
    // Most clients close the connection right after their last message. Then there is nothing to wait for.
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

  mayReceive(events: number): boolean {
    // A channel that has once owed bytes is told of room with every event.
    const isReadOnly = events === EPOLLIN || (events === (EPOLLIN | EPOLLOUT) && this.#debt === null)
    return isReadOnly && this.#state === 'open' && !this.#isPaused && !this.#isFlooded && this.#held === null
  }

  onReceived(result: number, buffer: Buffer, start: number): void {
    if (this.#state === 'open' && !this.#isPaused) {
      this.#isFlooded = result === RECEIVED_BYTES
      this.#take(result, buffer, start, this.#isFlooded)
    } else if (this.#state === 'open') {
      // An end, or what is wrong, is noticed again when the channel is resumed.
      this.#isUnread = true
      if (result > 0) this.#held = Buffer.from(buffer.subarray(start, start + result))
    } else if (this.#state === 'closing') this.#dropped(result, result === RECEIVED_BYTES)
  }

  onEvents(events: number): void {
    if (this.#debt !== null && (events & WRITABLE) !== 0) this.#payDebt(this.#debt)
    if ((events & READABLE) === 0) return
    if (this.#state === 'open') this.#read(events)
    // Also if the listener closed the channel during that read: the peer's FIN may have come with its last bytes, and no further event reports it.
    if (this.#state === 'closing') this.#drop(events)
  }

  #read(events: number): void {
    if (this.#isPaused || this.#held !== null) {
      this.#isUnread = true
      return
    }
    const { calls } = this.#poller
    const bytes = calls.recv(this.descriptor)
    if (this.#isFlooded) this.#isFlooded = bytes > RECEIVED_BYTES
    this.#take(bytes, calls.readBuffer, 0, bytes === READ_BUFFER_BYTES || (events & ENDS) !== 0)
  }

  /** `result` is that of receiving. `isUnread`: there may be more to read for which no further event comes. */
  #take(result: number, buffer: Buffer, start: number, isUnread: boolean): void {
    if (result <= 0) {
      if (result === 0) this.#peerLeft()
      else if (result !== EAGAIN) this.#readFailed(result)
      return
    }
    this.#isUnread = isUnread
    this.listener.onRead(buffer, start, start + result)
    if (this.#isUnread && this.#state === 'open' && !this.#isPaused) this.#again()
  }

  /** Delivers the bytes that were held while the channel was paused. */
  deliverHeld(): void {
    const held = this.#held
    if (held === null || this.#state !== 'open' || this.#isPaused) return
    this.#held = null
    eventBegins()
    try {
      this.listener.onRead(held, 0, held.length)
    } finally {
      eventEnds()
    }
    if (this.#isUnread && this.#state === 'open' && !this.#isPaused) this.#again()
  }

  /** Reads and drops what arrives while the channel is closing. */
  #drop(events: number): void {
    const bytes = this.#poller.calls.recv(this.descriptor)
    this.#dropped(bytes, bytes === READ_BUFFER_BYTES || (events & ENDS) !== 0)
  }

  /** `bytes` is the result of receiving. `isUnread`: see `#take`. */
  #dropped(bytes: number, isUnread: boolean): void {
    if (bytes > 0 && isUnread) this.#again()
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
      // The peer's FIN may have been read already, while bytes were owed: look for it again.
      this.#again()
    }
  }

  /**
   * The connection is broken, but the peer's last messages may still wait to be read: a server that shuts down says why. If the channel is
   * not reading, it would never learn of the end, and so it ends right away.
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

  /**
   * All bytes that the peer sent were handed over, and its FIN was read. The listener is told right away, and does not have to wait until
   * the peer has read our last bytes.
   */
  #peerLeft(): void {
    this.#sendGathered()
    if (this.#state !== 'open') return
    if (this.#debt === null) {
      this.#end(this.#writeErrno === ECONNRESET ? systemError('write', ECONNRESET) : null)
      return
    }
    this.#state = 'delivering'
    this.#linger()
    this.listener.onClosed(null)
  }

  /** Limits the wait for a peer that neither takes our last bytes nor closes its side. */
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
    // `onSent` finds the channel closed, and only sends.
    this.#state = 'closed'
    this.#sendGathered()
    this.#debt = null
    this.#held = null
    if (this.#lingering) clearTimeout(this.#lingering)
    if (this.#isShared) this.#poller.unwatch(this.descriptor)
    this.#poller.close(this.descriptor)
  }

  /** Has epoll report the socket's present state again, after the other sockets that have events waiting. */
  #again(): void {
    this.#isUnread = false
    this.#poller.change(this.descriptor, this.#watchedFor)
  }
}

function deliverHeld(channel: EpollChannel): void {
  channel.deliverHeld()
}
