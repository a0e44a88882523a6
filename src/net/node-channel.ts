/** Hot path: a channel on a socket of node:net. Reading allocates nothing per chunk, nor does writing if the kernel takes the chunk whole. */

import { writeSync } from 'node:fs'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { eventBegins, eventEnds } from '../base/after-event.ts'
import { type Address, type Channel, type ChannelListener, LINGER_MS } from './channel.ts'
import { EAGAIN, systemError } from './epoll/syscalls.ts'
import type { Sender } from './gathered-writes.ts'
import { ENDED_EARLY, HandshakeError } from './handshakes.ts'
import { NOBODY } from './nobody.ts'
import { nodeGathering } from './node-gathering.ts'
import { certificateNameOf, isShakingHands, problemOf, serverCertificateOf, tlsOf } from './tls.ts'
import { copyForWrite, keepLastCopy } from './write-scratch.ts'

/** `closing`: we have closed the channel and wait for the socket to close. `closed`: the listener was told. */
type State = 'open' | 'closing' | 'closed'

const NOTHING = Buffer.alloc(0)

/** Node's own object for the connection. It is not a public interface. */
interface Handle {
  readonly fd?: number
}

export class NodeChannel implements Channel, Sender {
  readonly peer: Address
  readonly local: Address
  readonly isAccepted: boolean
  gatheredAt = -1
  listener: ChannelListener = NOBODY
  readonly #socket: Socket
  /** -1 where only the stream may write: because it encrypts, or because Node does not reveal the descriptor. */
  readonly descriptor: number
  #state: State = 'open'
  #problem: Error | null = null
  #isWaitingForDrain = false
  #lingering: NodeJS.Timeout | null = null

  /** The socket must be connected and opened with `allowHalfOpen`. The caller hands what it reads to `receive`. */
  constructor(socket: Socket, peer: Address, local: Address, isAccepted: boolean) {
    this.#socket = socket
    this.descriptor = this.handle?.fd ?? -1
    this.peer = peer
    this.local = local
    this.isAccepted = isAccepted
    socket.on('end', this.#onEnd)
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
  }

  get tls(): string {
    return tlsOf(this.#socket)
  }

  get serverCertificate(): Buffer | null {
    return serverCertificateOf(this.#socket)
  }

  get certificateName(): string | null {
    return certificateNameOf(this.#socket)
  }

  readonly #onEnd = () => this.#peerLeft()
  readonly #onClose = () => this.#gone()
  readonly #onError = (problem: Error) => {
    this.#problem ??= problemOf(this.#socket, problem)
  }

  takeSocket(): Socket | null {
    this.#sendGathered()
    if (!this.isOpen || this.owedBytes > 0) return null
    this.#state = 'closed'
    this.#socket.off('end', this.#onEnd)
    this.#socket.off('error', this.#onError)
    this.#socket.off('close', this.#onClose)
    return this.#socket
  }

  get isOpen(): boolean {
    return this.#state === 'open' && !this.#socket.destroyed
  }

  get owedBytes(): number {
    return this.#socket.destroyed ? 0 : this.#socket.writableLength
  }

  /**
   * Node's own object for the connection, which `process.send` accepts. Null if it no longer exists, or if the socket is not the connection
   * itself.
   */
  get handle(): Handle | null {
    if (this.#socket instanceof TLSSocket) return null
    return (this.#socket as unknown as { readonly _handle?: Handle | null })._handle ?? null
  }

  /** Hands bytes to the listener. While the channel is closing, they are dropped. */
  receive(buffer: Buffer, bytes: number): void {
    if (this.#state !== 'open') return
    eventBegins()
    try {
      this.listener.onRead(buffer, 0, bytes)
    } finally {
      eventEnds()
    }
  }

  write(buffer: Buffer, start: number, end: number): number {
    if (!this.isOpen) return end - start
    if (this.#mayWriteAtOnce() && start < end) {
      if (nodeGathering.gather(this, buffer, start, end)) return end - start
      if (this.gatheredAt !== -1) {
        nodeGathering.sendGathered()
        return this.write(buffer, start, end)
      }
    }
    return this.#send(buffer, start, end)
  }

  onSent(_result: number, buffer: Buffer, start: number, end: number): void {
    if (this.isOpen) this.#send(buffer, start, end)
  }

  /** Sends at once what was written during the present events. */
  #sendGathered(): void {
    if (this.gatheredAt !== -1) nodeGathering.sendGathered()
  }

  #mayWriteAtOnce(): boolean {
    return this.descriptor >= 0 && this.#socket.writableLength === 0
  }

  /** Returns how many of the bytes are not owed. */
  #send(buffer: Buffer, start: number, end: number): number {
    const socket = this.#socket
    let taken = this.#mayWriteAtOnce() ? this.#writeAtOnce(buffer, start, end) : 0
    for (let at = start + taken; at < end; ) {
      // The span may lie in the buffer that the next read overwrites, and Node does not copy what it writes.
      const copy = copyForWrite(buffer, at, end)
      socket.write(copy)
      at += copy.length
      // A write that fails destroys the socket before it returns; the listener is told on 'close'.
      if (socket.destroyed) return end - start
      if (socket.writableLength === 0) taken += copy.length
      else keepLastCopy(copy)
    }
    if (socket.writableLength > 0) this.#waitForDrain()
    return taken
  }

  /**
   * Writes directly to the kernel: the way through the stream costs more than the write itself. Nothing may wait in the stream, which gets
   * what the kernel does not take. Returns how many bytes are done with: those taken, or all if the write has failed.
   */
  #writeAtOnce(buffer: Buffer, start: number, end: number): number {
    try {
      return writeSync(this.descriptor, buffer, start, end - start)
    } catch (problem) {
      const { errno = 0 } = problem as NodeJS.ErrnoException
      if (errno === EAGAIN) return 0
      // The stream would destroy the socket too, but would no longer find the reason.
      this.#socket.destroy(systemError('write', errno))
      return end - start
    }
  }

  pause(): void {
    if (this.isOpen) this.#socket.pause()
  }

  resume(): void {
    if (this.isOpen) this.#socket.resume()
  }

  close(): void {
    this.#sendGathered()
    if (!this.isOpen) return
    this.#state = 'closing'
    this.#socket.resume()
    this.#finish()
  }

  destroy(): void {
    this.#sendGathered()
    if (this.#state === 'open') this.#state = 'closing'
    this.#socket.destroy()
  }

  /**
   * The stream's own 'drain' does not do: it comes only after a write beyond the high-water mark, and we owe from the first byte. An empty
   * write queues behind the owed bytes, and its callback is called once those are gone.
   */
  #waitForDrain(): void {
    if (this.#isWaitingForDrain) return
    this.#isWaitingForDrain = true
    this.#socket.write(NOTHING, (problem) => {
      this.#isWaitingForDrain = false
      // A write that failed empties the queue first and destroys the socket afterwards.
      if (problem || !this.isOpen) return
      if (this.#socket.writableLength > 0) this.#waitForDrain()
      else this.listener.onDrained()
    })
  }

  /**
   * All bytes that the peer sent were handed over, and its FIN was read. The listener is told right away, and does not have to wait until
   * the peer has read our last bytes.
   */
  #peerLeft(): void {
    this.#sendGathered()
    if (this.#state !== 'open') return
    this.#state = 'closed'
    if (this.#socket.writableLength > 0) this.#finish()
    else this.#socket.destroy()
    this.listener.onClosed(isShakingHands(this.#socket) ? new HandshakeError(ENDED_EARLY) : null)
  }

  /**
   * Delivers the owed bytes and sends a FIN. The socket destroys itself when both sides have done so. The timer ends the wait for a peer
   * that neither reads nor closes.
   */
  #finish(): void {
    this.#socket.end()
    this.#lingering = setTimeout(() => this.#socket.destroy(), LINGER_MS)
    this.#lingering.unref()
  }

  #gone(): void {
    if (this.#lingering) clearTimeout(this.#lingering)
    const before = this.#state
    this.#state = 'closed'
    // For a channel that we have closed, the problem does not matter any more.
    if (before !== 'closed') this.listener.onClosed(before === 'open' ? this.#problem : null)
  }
}
