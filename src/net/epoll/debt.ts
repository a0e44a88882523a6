/** What a channel owes its peer: copies of the bytes that the kernel did not take. */

import { READ_BUFFER_BYTES } from '../channel.ts'
import { EAGAIN, isForNow, type SystemCalls } from './syscalls.ts'

/** Small debts are collected in pieces of at least this size. */
const PIECE_BYTES = 4 * 1024

/** Debts larger than `PIECE_BYTES` and up to this are kept in memory of this size, which is used again. */
const LARGE_BYTES = READ_BUFFER_BYTES

/** How many large pieces are kept for later debts. */
const MAX_SPARES = 8

/** Without these, a client that reads slowly would leave a piece behind for each chunk, until V8 collects garbage. */
const spares: Buffer[] = []

/** The most bytes that one payment sends, so that one fast peer does not keep the others waiting. */
const PAYMENT_BYTES = 1024 * 1024

interface Piece {
  readonly memory: Buffer
  /** Offsets of the bytes that are still owed. */
  start: number
  end: number
}

export class Debt {
  bytes = 0
  /** After a payment: the kernel had no room for more, and epoll will report when it has. */
  isBlocked = false
  readonly #pieces: Piece[] = []
  #first = 0

  add(buffer: Buffer, start: number, end: number): void {
    let at = start
    const last = this.#pieces.at(-1)
    if (last && last.end < last.memory.length) {
      const copied = buffer.copy(last.memory, last.end, at, end)
      last.end += copied
      at += copied
    }
    if (at < end) {
      const length = end - at
      const memory = memoryFor(length)
      buffer.copy(memory, 0, at, end)
      this.#pieces.push({ memory, start: 0, end: length })
    }
    this.bytes += end - start
  }

  /** Sends as much as the kernel takes. Returns 0, or the (negative) errno if the connection is broken. */
  pay(calls: SystemCalls, descriptor: number): number {
    this.isBlocked = false
    for (let budget = PAYMENT_BYTES; budget > 0; ) {
      const piece = this.#pieces[this.#first]
      if (!piece) break
      const length = Math.min(piece.end - piece.start, budget)
      const taken = calls.send(descriptor, piece.memory, piece.start, piece.start + length)
      if (taken < 0) {
        this.isBlocked = taken === EAGAIN
        return isForNow(taken) ? 0 : taken
      }
      piece.start += taken
      this.bytes -= taken
      budget -= taken
      if (piece.start === piece.end) this.#forget()
      if (taken < length) {
        this.isBlocked = true
        break
      }
    }
    return 0
  }

  /** Drops the first piece, which has been paid. */
  #forget(): void {
    const { memory } = this.#pieces[this.#first] as Piece
    if (memory.length === LARGE_BYTES && spares.length < MAX_SPARES) spares.push(memory)
    this.#first++
    if (this.#first < 32 && this.#first < this.#pieces.length) return
    this.#pieces.splice(0, this.#first)
    this.#first = 0
  }
}

function memoryFor(length: number): Buffer {
  if (length <= PIECE_BYTES) return Buffer.allocUnsafeSlow(PIECE_BYTES)
  if (length > LARGE_BYTES) return Buffer.allocUnsafeSlow(length)
  return spares.pop() ?? Buffer.allocUnsafeSlow(LARGE_BYTES)
}
