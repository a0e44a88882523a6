/** A channel in memory, for tests: behaves like one over TCP, without time and without chance. */

import { eventBegins, eventEnds } from '../base/after-event.ts'
import { type Address, type Channel, type ChannelListener, LINGER_MS, READ_BUFFER_BYTES } from './channel.ts'
import { type Cut, MemoryPipe } from './memory-pipe.ts'
import { NOBODY } from './nobody.ts'

/** `closing`: lingers until both sides have closed. `gone`: the listener is about to be told. */
type State = 'open' | 'closing' | 'gone' | 'closed'

/** Each span lies at another place, so that code which mistakes the buffer for the span fails. */
const SPAN_STEP = 37
const SPAN_PLACES = 1_024

/** The value of a span's bytes once its callback has returned. */
const STALE_BYTE = 0xee

const readBuffer = Buffer.alloc(READ_BUFFER_BYTES, STALE_BYTE)
let readCount = 0

export interface PairOptions {
  /** For both directions. A seed is changed for the second one. */
  readonly cut?: Cut
  /** How many bytes may be under way in one direction before the writer owes: what the kernels would hold. */
  readonly windowBytes?: number
  readonly first?: Address
  readonly second?: Address
}

/** Returns the two ends of a new connection. Everything is delivered from microtasks: after one macrotask, all is quiet. */
export function createPair(options: PairOptions = {}): [MemoryChannel, MemoryChannel] {
  const { cut = 'glued', windowBytes = READ_BUFFER_BYTES } = options
  const { first = { host: '127.0.0.1', port: 1 }, second = { host: '127.0.0.1', port: 2 } } = options
  const there = new MemoryPipe(windowBytes, cut)
  const back = new MemoryPipe(windowBytes, typeof cut === 'object' ? { ...cut, seed: ~cut.seed } : cut)
  const one = new MemoryChannel(first, second, back, there)
  const other = new MemoryChannel(second, first, there, back)
  one.connect(other)
  other.connect(one)
  return [one, other]
}

export class MemoryChannel implements Channel {
  readonly peer: Address
  readonly local: Address
  listener: ChannelListener = NOBODY
  readonly #incoming: MemoryPipe
  readonly #outgoing: MemoryPipe
  #other: MemoryChannel = this
  #state: State = 'open'
  #isPaused = false
  #isWoken = false
  #owes = false
  #lingering: NodeJS.Timeout | null = null

  constructor(local: Address, peer: Address, incoming: MemoryPipe, outgoing: MemoryPipe) {
    this.local = local
    this.peer = peer
    this.#incoming = incoming
    this.#outgoing = outgoing
  }

  connect(other: MemoryChannel): void {
    this.#other = other
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  get owedBytes(): number {
    return this.#outgoing.owedBytes
  }

  write(buffer: Buffer, start: number, end: number): number {
    if (!this.isOpen || this.#outgoing.end !== 'none' || start === end) return end - start
    if (this.#other.#isDead) {
      // A channel that reads will find the end behind the bytes that are still to come. A paused one is told by the failing write.
      if (this.#isPaused) this.#breakDown()
      return end - start
    }
    const taken = this.#outgoing.write(buffer, start, end)
    if (this.owedBytes > 0) this.#owes = true
    this.#other.#wake()
    return taken
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#wake()
  }

  close(): void {
    if (!this.isOpen) return
    this.#state = 'closing'
    this.#isPaused = false
    this.#lingering = setTimeout(() => this.destroy(), LINGER_MS)
    this.#lingering.unref()
    this.#endOutgoing()
    this.#wake()
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

  takeSocket(): null {
    return null
  }

  destroy(): void {
    if (this.#isDead) return
    this.#outgoing.dropOwed()
    // Closing a socket with unread bytes makes the kernel reset the connection, which takes back what the peer has not read.
    if (this.#incoming.length > 0) this.#resetOutgoing()
    else this.#endOutgoing()
    this.#die(null)
  }

  /** Closes the writing side and continues to read, as a client does that pipes a script into us. */
  hangUp(): void {
    if (this.isOpen) this.#endOutgoing()
  }

  /** Breaks the connection: the other side loses what it has not read. */
  reset(): void {
    if (this.#isDead) return
    this.#resetOutgoing()
    this.#die(null)
  }

  get #isDead(): boolean {
    return this.#state === 'gone' || this.#state === 'closed'
  }

  #wake(): void {
    if (this.#isWoken) return
    this.#isWoken = true
    queueMicrotask(() => {
      this.#isWoken = false
      this.#turn()
    })
  }

  /** One step: a read, or the end. */
  #turn(): void {
    if (this.#isDead || this.#isPaused) return
    const { end } = this.#incoming
    if (end === 'reset') this.#breakDown()
    else if (this.#incoming.length > 0) this.#read()
    else if (end === 'fin') this.#peerLeft()
  }

  #read(): void {
    if (this.isOpen) {
      const start = (readCount++ * SPAN_STEP) % SPAN_PLACES
      const length = this.#incoming.read(readBuffer, start)
      eventBegins()
      try {
        this.listener.onRead(readBuffer, start, start + length)
      } finally {
        eventEnds()
        readBuffer.fill(STALE_BYTE, start, start + length)
      }
    } else {
      this.#incoming.clear()
    }
    this.#other.#noticeRead()
    this.#wake()
  }

  /** Called when the other side has read some of what we wrote. */
  #noticeRead(): void {
    if (!this.#owes || this.owedBytes > 0) return
    this.#owes = false
    queueMicrotask(() => {
      if (this.#state === 'closing') this.#wake()
      else if (this.isOpen && this.owedBytes === 0) this.listener.onDrained()
    })
  }

  #peerLeft(): void {
    if (this.#state === 'closing' && this.owedBytes > 0) return
    this.#endOutgoing()
    this.#die(null)
  }

  #breakDown(): void {
    if (this.#isDead) return
    this.#outgoing.clear()
    this.#die(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' }))
  }

  #endOutgoing(): void {
    if (this.#outgoing.end === 'none') this.#outgoing.end = 'fin'
    this.#other.#wake()
  }

  #resetOutgoing(): void {
    this.#outgoing.clear()
    this.#outgoing.end = 'reset'
    this.#other.#wake()
  }

  /** From here on nobody reads what the other side writes. If the other side is paused, it notices that only if it has bytes to deliver. */
  #die(problem: Error | null): void {
    const told = this.isOpen ? problem : null
    this.#state = 'gone'
    if (this.#lingering) clearTimeout(this.#lingering)
    this.#incoming.clear()
    if (this.#other.#owes) this.#other.#breakDown()
    queueMicrotask(() => {
      this.#state = 'closed'
      this.listener.onClosed(told)
    })
  }
}
