/** Hot path: gathers the output for one peer while one chunk is handled, to write it at once. Copies only if there is more than one span. */

import { copyBytes } from '../base/bytes.ts'
import { invariant } from '../base/invariant.ts'
import { allocateLasting } from '../base/lasting.ts'

const CAPACITY_BYTES = 128 * 1024

export interface Writable {
  write(buffer: Buffer, start: number, end: number): number
}

/**
 * Bound to one peer for the duration of one callback: `open`, then any of the adding methods, then `close`. One outbox serves all
 * connections in turn, because nothing else runs between `open` and `close`.
 */
export class Outbox {
  #target: Writable | null = null
  /** The only span added so far; null if there is none, or if everything was copied. */
  #span: Buffer | null = null
  #spanStart = 0
  #spanEnd = 0
  readonly #copy = allocateLasting(CAPACITY_BYTES)
  #copied = 0

  isOpenFor(target: Writable): boolean {
    return this.#target === target
  }

  open(target: Writable): void {
    invariant(this.#target === null, 'an outbox is opened for two peers at once')
    invariant(this.#span === null && this.#copied === 0, 'an outbox was filled for nobody')
    this.#target = target
  }

  /** Adds a span that stays valid until `close`. */
  add(buffer: Buffer, start: number, end: number): void {
    if (this.#span === buffer && this.#spanEnd === start) {
      this.#spanEnd = end
      return
    }
    if (this.#span === null && this.#copied === 0) {
      this.#span = buffer
      this.#spanStart = start
      this.#spanEnd = end
      return
    }
    this.#append(buffer, start, end)
  }

  /** Adds a span that may change as soon as this returns. */
  addCopy(buffer: Buffer, start: number, end: number): void {
    this.#append(buffer, start, end)
  }

  addAll(buffer: Buffer): void {
    this.add(buffer, 0, buffer.length)
  }

  byte(value: number): void {
    this.#room(1)
    this.#copy[this.#copied++] = value
  }

  int32(value: number): void {
    this.#room(4)
    const at = this.#copied
    this.#copy[at] = value >>> 24
    this.#copy[at + 1] = value >>> 16
    this.#copy[at + 2] = value >>> 8
    this.#copy[at + 3] = value
    this.#copied = at + 4
  }

  /** Writes what was gathered so far. The outbox stays open. */
  flush(): void {
    if (this.#span !== null) this.#write(this.#span, this.#spanStart, this.#spanEnd)
    else if (this.#copied > 0) this.#write(this.#copy, 0, this.#copied)
    this.#span = null
    this.#copied = 0
  }

  /** Writes what is left and releases the peer. */
  close(): void {
    this.flush()
    this.#target = null
  }

  /** Releases the peer without writing: after an exception, what was gathered may be wrong. Does nothing after `close`. */
  discard(): void {
    this.#span = null
    this.#copied = 0
    this.#target = null
  }

  #write(buffer: Buffer, start: number, end: number): void {
    invariant(this.#target !== null, 'an outbox is filled for nobody')
    this.#target.write(buffer, start, end)
  }

  #settleSpan(): void {
    const span = this.#span
    if (span === null) return
    this.#span = null
    this.#copyIn(span, this.#spanStart, this.#spanEnd)
  }

  #room(bytes: number): void {
    this.#settleSpan()
    if (this.#copied + bytes > CAPACITY_BYTES) this.flush()
  }

  #append(buffer: Buffer, start: number, end: number): void {
    this.#settleSpan()
    this.#copyIn(buffer, start, end)
  }

  #copyIn(buffer: Buffer, start: number, end: number): void {
    if (this.#copied + end - start > CAPACITY_BYTES) this.flush()
    if (end - start > CAPACITY_BYTES) {
      this.#write(buffer, start, end)
      return
    }
    this.#copied = copyBytes(buffer, start, end, this.#copy, this.#copied)
  }
}
