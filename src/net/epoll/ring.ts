/**
 * Hot path: makes many `recv` and `send` calls by one system call, through io_uring. Only calls that finish at once are made this way, so
 * that nothing is ever under way when a method returns. Together with `syscalls.ts`, this is the only file that hands memory to the kernel.
 * https://man7.org/linux/man-pages/man7/io_uring.7.html
 */

import { invariant } from '../../base/invariant.ts'
import { allocateLasting } from '../../base/lasting.ts'
import {
  GATHERED_BYTES,
  GATHERED_CHANNELS,
  GatheredWrites,
  type ManySends,
  memoryForGathered,
  NOT_MADE,
} from '../gathered-writes.ts'
import { type Call, EINTR, MAX_EVENTS, MSG_NOSIGNAL, type RingParts, systemError } from './syscalls.ts'

/** How many calls are made at once: one for each event of a look, and one for each channel that has written. */
export const RING_CALLS = Math.max(MAX_EVENTS, GATHERED_CHANNELS)

/** The most bytes that one of the calls receives. */
export const RECEIVED_BYTES = 8 * 1024

// Values for Linux; x64 and arm64 agree on all of them.
const SYS_IO_URING_SETUP = 425
const SYS_IO_URING_ENTER = 426
/** Linux 5.18. A call that is refused does not keep the next ones from being made. */
const IORING_SETUP_SUBMIT_ALL = 1 << 7
/** Linux 5.19. Results arrive only when we enter the kernel. */
const IORING_SETUP_COOP_TASKRUN = 1 << 8
/** Linux 6.0. Only this thread uses the ring. */
const IORING_SETUP_SINGLE_ISSUER = 1 << 12
const IORING_FEAT_SINGLE_MMAP = 1 << 0
const IORING_OFF_SQ_RING = 0
const IORING_OFF_SQES = 0x1000_0000
const IORING_ENTER_GETEVENTS = 1 << 0
const IORING_OP_SEND = 26
const IORING_OP_RECV = 27
const MSG_DONTWAIT = 0x40
const PROT_READ_WRITE = 3
const MAP_SHARED_POPULATE = 0x8001

// `struct io_uring_params`, by byte offset.
const PARAMS_BYTES = 120
const CQ_ENTRIES_AT = 4
const FLAGS_AT = 8
const FEATURES_AT = 20
const SQ_TAIL_AT = 44
const SQ_MASK_AT = 48
const SQ_ARRAY_AT = 64
const CQ_HEAD_AT = 80
const CQ_TAIL_AT = 84
const CQ_MASK_AT = 88
const CQ_CQES_AT = 100

// `struct io_uring_sqe` and `struct io_uring_cqe`, in words of 4 bytes.
const SQE_WORDS = 16
const CQE_WORDS = 4

export class Ring implements ManySends {
  /** The writes that are sent through this ring. */
  readonly gathered: GatheredWrites
  /** What the calls of `receive` have brought; the bytes for a place are at `place * RECEIVED_BYTES`. */
  readonly received: Buffer
  /**
   * The number of bytes, 0 at the end, a negative errno, or `NOT_MADE`. First those of received places, which stay while others are sent,
   * and behind them those of sent places.
   */
  readonly #results = new Int32Array(2 * RING_CALLS)
  readonly #receivedAddress: number
  readonly toSend: Buffer
  readonly #toSendAddress: number
  #receiving = 0
  #sending = 0
  readonly #enterKernel: Call
  readonly #errno: () => number
  readonly #descriptor: number
  readonly #ring: Int32Array
  readonly #sqes: Int32Array
  readonly #at: { sqTail: number; sqMask: number; cqHead: number; cqTail: number; cqMask: number; cqes: number }
  #tail = 0
  #head = 0

  /** Throws if the system has no io_uring, or does not allow it. */
  constructor({ call, addressOf, view, errno }: RingParts) {
    this.#errno = errno
    const params = Buffer.alloc(PARAMS_BYTES)
    const flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SINGLE_ISSUER
    params.writeUInt32LE(flags, FLAGS_AT)
    const setup = call('syscall', ['long', 'uint64', 'uint64'])
    this.#descriptor = setup(SYS_IO_URING_SETUP, RING_CALLS, addressOf(params))
    if (this.#descriptor < 0) throw systemError('io_uring_setup', -errno())
    const word = (at: number) => params.readUInt32LE(at)
    try {
      if ((word(FEATURES_AT) & IORING_FEAT_SINGLE_MMAP) === 0) throw new Error('io_uring is too old here')
      const mmap = call('mmap', ['uint64', 'uint64', 'int', 'int', 'int', 'int64'], 'int64')
      const map = (bytes: number, offset: number) => {
        const address = Number(mmap(0, bytes, PROT_READ_WRITE, MAP_SHARED_POPULATE, this.#descriptor, offset))
        if (address === -1) throw systemError('mmap', -errno())
        return new Int32Array(view(address, bytes))
      }
      const resultsEnd = word(CQ_CQES_AT) + word(CQ_ENTRIES_AT) * CQE_WORDS * 4
      this.#ring = map(Math.max(resultsEnd, word(SQ_ARRAY_AT) + RING_CALLS * 4), IORING_OFF_SQ_RING)
      this.#sqes = map(RING_CALLS * SQE_WORDS * 4, IORING_OFF_SQES)
    } catch (problem) {
      call('close', ['int'])(this.#descriptor)
      throw problem
    }
    this.#at = {
      sqTail: word(SQ_TAIL_AT) / 4,
      sqMask: this.#ring[word(SQ_MASK_AT) / 4] as number,
      cqHead: word(CQ_HEAD_AT) / 4,
      cqTail: word(CQ_TAIL_AT) / 4,
      cqMask: this.#ring[word(CQ_MASK_AT) / 4] as number,
      cqes: word(CQ_CQES_AT) / 4,
    }
    // Last, because such memory is never given back.
    this.received = allocateLasting(RING_CALLS * RECEIVED_BYTES)
    this.#receivedAddress = addressOf(this.received)
    this.toSend = memoryForGathered()
    this.#toSendAddress = addressOf(this.toSend)
    this.gathered = new GatheredWrites(this)
    // Calls are made in the order in which they were added.
    for (let index = 0; index < RING_CALLS; index++) this.#ring[word(SQ_ARRAY_AT) / 4 + index] = index
    this.#enterKernel = call('syscall', ['long', 'int', 'uint32', 'uint32', 'uint32', 'uint64', 'uint64'])
  }

  // Receiving

  /** Adds a call that receives from this socket. Returns the place of its result. At most `RING_CALLS` can be added. */
  addReceive(descriptor: number): number {
    invariant(this.#receiving < RING_CALLS, 'the ring has no room for another call')
    const place = this.#receiving++
    this.#add(IORING_OP_RECV, descriptor, this.#receivedAddress + place * RECEIVED_BYTES, RECEIVED_BYTES, place)
    return place
  }

  /** Makes the calls that were added. Their results are valid until the next call is added. */
  receive(): void {
    const count = this.#receiving
    this.#receiving = 0
    this.#make(count)
  }

  resultAt(place: number): number {
    return this.#results[place] as number
  }

  // Sending

  addSend(place: number, descriptor: number, bytes: number): void {
    invariant(place < GATHERED_CHANNELS && bytes <= GATHERED_BYTES, 'more bytes are to be sent than are held')
    this.#sending++
    this.#add(IORING_OP_SEND, descriptor, this.#toSendAddress + place * GATHERED_BYTES, bytes, RING_CALLS + place)
  }

  send(): void {
    const count = this.#sending
    this.#sending = 0
    this.#make(count)
  }

  sentAt(place: number): number {
    return this.#results[RING_CALLS + place] as number
  }

  // The ring

  #add(operation: number, descriptor: number, address: number, bytes: number, key: number): void {
    const sqes = this.#sqes
    const at = (this.#tail & this.#at.sqMask) * SQE_WORDS
    this.#tail = (this.#tail + 1) | 0
    // All other words are 0, always.
    sqes[at] = operation
    sqes[at + 1] = descriptor
    sqes[at + 4] = address | 0
    sqes[at + 5] = (address / 0x1_0000_0000) | 0
    sqes[at + 6] = bytes
    sqes[at + 7] = MSG_DONTWAIT | MSG_NOSIGNAL
    sqes[at + 8] = key
    this.#results[key] = NOT_MADE
  }

  /** Makes the last `count` calls that were added. Those that the kernel refuses to make remain `NOT_MADE`. */
  #make(count: number): void {
    this.#ring[this.#at.sqTail] = this.#tail
    let made = 0
    while (made < count) {
      const result = this.#enterKernel(SYS_IO_URING_ENTER, this.#descriptor, count - made, 0, 0, 0, 0)
      if (result > 0) made += result
      else if (result === 0 || -this.#errno() !== EINTR) break
    }
    this.#tail = (this.#tail - (count - made)) | 0
    this.#ring[this.#at.sqTail] = this.#tail
    let finished = this.#takeResults()
    // Never seen, since these calls do not wait. But a result that came later would be taken for another call's.
    while (finished < made) {
      const missing = made - finished
      const result = this.#enterKernel(SYS_IO_URING_ENTER, this.#descriptor, 0, missing, IORING_ENTER_GETEVENTS, 0, 0)
      if (result < 0 && -this.#errno() !== EINTR) throw systemError('io_uring_enter', -this.#errno())
      finished += this.#takeResults()
    }
  }

  /** Returns how many there were. */
  #takeResults(): number {
    const { cqHead, cqTail, cqMask, cqes } = this.#at
    const ring = this.#ring
    const before = this.#head
    const tail = ring[cqTail] as number
    while (this.#head !== tail) {
      const at = cqes + (this.#head & cqMask) * CQE_WORDS
      this.#results[ring[at] as number] = ring[at + 2] as number
      this.#head = (this.#head + 1) | 0
    }
    ring[cqHead] = this.#head
    return (tail - before) | 0
  }
}
