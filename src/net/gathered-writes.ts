/**
 * Hot path: holds what channels write while several of them have their events, until the last one has had its event. With io_uring, all of it
 * is sent by one system call. Without, each channel sends its own, but all clients' bytes go before all servers' bytes: a program with many
 * connections then finds many replies when it wakes, instead of one, and goes to sleep less often.
 */

import { invariant } from '../base/invariant.ts'
import { allocateLasting } from '../base/lasting.ts'

/** How many channels' bytes are held at most. */
export const GATHERED_CHANNELS = 128

/** The most bytes that are held for one channel. Copying more would cost more than a system call. */
export const GATHERED_BYTES = 4 * 1024

/** The result of a call that was not made: the caller has to make it. No errno is this low. */
export const NOT_MADE = -0x7fff_ffff

/** Memory for the bytes of `GATHERED_CHANNELS` channels: those of place n begin at n * `GATHERED_BYTES`. */
export function memoryForGathered(): Buffer {
  return allocateLasting(GATHERED_CHANNELS * GATHERED_BYTES)
}

/** A channel whose writes are gathered. */
export interface Sender {
  readonly descriptor: number
  /** Whether a client is at the other end, or at least a program that has called us. */
  readonly isAccepted: boolean
  /** The place of its bytes among those held, or -1. Only `GatheredWrites` changes it. */
  gatheredAt: number
  /** `result` is the number of bytes sent, a negative errno, or `NOT_MADE`; the bytes are valid until this method returns. */
  onSent(result: number, buffer: Buffer, start: number, end: number): void
}

/** What makes many calls at once. */
export interface ManySends {
  /** Holds the gathered bytes. */
  readonly toSend: Buffer
  addSend(place: number, descriptor: number, bytes: number): void
  send(): void
  /** The number of bytes, a negative errno, or `NOT_MADE`; valid until the next call is added. */
  sentAt(place: number): number
}

export class GatheredWrites {
  readonly #many: ManySends | null
  readonly #memory: Buffer
  readonly #senders: (Sender | null)[] = new Array(GATHERED_CHANNELS).fill(null)
  readonly #lengths = new Int32Array(GATHERED_CHANNELS)
  #count = 0

  /** @param many null if each channel sends its own bytes */
  constructor(many: ManySends | null) {
    this.#many = many
    this.#memory = many?.toSend ?? memoryForGathered()
  }

  /**
   * Adds a copy of these bytes to those held. Returns false if there is no room for them behind others of the same channel, or they are
   * more than are held for one: then `send` first, and look at the result, because the channel may owe bytes then, or be closed.
   */
  add(sender: Sender, buffer: Buffer, start: number, end: number): boolean {
    const length = end - start
    invariant(length > 0, 'no bytes are added')
    if (length > GATHERED_BYTES) return false
    // One call for each channel: the order of two would not be kept if the kernel took only a part of the first.
    if (sender.gatheredAt !== -1) return this.#extend(sender.gatheredAt, buffer, start, end)
    if (this.#count === GATHERED_CHANNELS) this.send()
    const place = this.#count++
    sender.gatheredAt = place
    this.#senders[place] = sender
    this.#lengths[place] = length
    buffer.copy(this.#memory, place * GATHERED_BYTES, start, end)
    return true
  }

  #extend(place: number, buffer: Buffer, start: number, end: number): boolean {
    const before = this.#lengths[place] as number
    if (before + end - start > GATHERED_BYTES) return false
    buffer.copy(this.#memory, place * GATHERED_BYTES + before, start, end)
    this.#lengths[place] = before + end - start
    return true
  }

  /** Sends all that is held, and reports the results to the senders. If one of these throws, the others still learn theirs. */
  send(): void {
    if (this.#count === 0) return
    const problem = this.#many === null ? this.#sendEach() : this.#sendTogether(this.#many)
    if (problem !== null) throw problem.thrown
  }

  #sendTogether(many: ManySends): Thrown | null {
    const count = this.#count
    for (let place = 0; place < count; place++) {
      const { descriptor } = this.#senders[place] as Sender
      many.addSend(place, descriptor, this.#lengths[place] as number)
    }
    many.send()
    this.#count = 0
    let problem: Thrown | null = null
    for (let place = 0; place < count; place++) {
      const thrown = this.#report(place, many.sentAt(place))
      problem ??= thrown
    }
    return problem
  }

  #sendEach(): Thrown | null {
    const count = this.#count
    this.#count = 0
    const problem = this.#sendTo(true, count)
    return this.#sendTo(false, count) ?? problem
  }

  #sendTo(areAccepted: boolean, count: number): Thrown | null {
    let problem: Thrown | null = null
    for (let place = 0; place < count; place++) {
      if (this.#senders[place]?.isAccepted !== areAccepted) continue
      const thrown = this.#report(place, NOT_MADE)
      problem ??= thrown
    }
    return problem
  }

  #report(place: number, result: number): Thrown | null {
    const sender = this.#senders[place] as Sender
    const start = place * GATHERED_BYTES
    const end = start + (this.#lengths[place] as number)
    this.#senders[place] = null
    sender.gatheredAt = -1
    try {
      sender.onSent(result, this.#memory, start, end)
      return null
    } catch (thrown) {
      return { thrown }
    }
  }
}

interface Thrown {
  readonly thrown: unknown
}
