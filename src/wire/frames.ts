/**
 * Hot path: splits a stream of bytes into protocol frames, in both directions. No allocation per frame; no copy, unless the part of a frame
 * that must be seen at once is split over chunks.
 *
 * A frame is one type byte, a length of four bytes that counts itself, and the body:
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

import { invariant } from '../base/invariant.ts'

/** Type byte and length. */
export const HEADER_BYTES = 5

/** In a table of needs: frames of this type go to `pass` unseen. */
export const PASSES = 0
/** In a table of needs: frames of this type are refused. */
export const UNKNOWN = -1

/** Receives the frames. Spans are valid only until the method returns. */
export interface FrameSink {
  /** Bytes of frames that pass: part of a frame, or several frames at once. */
  pass(buffer: Buffer, start: number, end: number): void
  /**
   * A frame of `length` bytes (including its header) begins at `start`. At least as many of its bytes as needed are available, up to `end`.
   * Returns true if the frame is accepted; its other bytes then follow in `rest`. Returns false to be shown the frame again: after a call of
   * `demand`, as soon as that many of its bytes are available; otherwise later (`read` stops, and nothing of the frame counts as read).
   */
  frame(type: number, buffer: Buffer, start: number, end: number, length: number): boolean
  /** More of the frame that `frame` has accepted, in order. `isLast` if this includes its last byte. */
  rest(type: number, buffer: Buffer, start: number, end: number, isLast: boolean): void
  /** A frame has an unknown type, or an impossible or forbidden length. Nothing more can be read. */
  refuse(type: number, length: number, why: Refusal): void
}

export type Refusal = 'unknown' | 'length' | 'too-large'

const NOTHING = Buffer.alloc(0)

/** The state of one direction of one connection: its position within a frame. */
export class Frames {
  /** Frames with more bytes than this are refused. */
  limit: number
  /** The start of a frame of which not enough has arrived to show it. */
  #stash: Buffer = NOTHING
  #stashed = 0
  /** How many bytes of the stashed frame the sink has demanded to see at once; 0 if the table of needs decides. */
  #demanded = 0
  /** The number of bytes still to come of the current frame. */
  #left = 0
  #leftType = 0
  /** Whether the current frame passes, so that its bytes go to `pass` and not to `rest`. */
  #leftPasses = false

  constructor(limit: number) {
    this.limit = limit
  }

  /** Whether the last frame is complete, and nothing of the next one has been read. */
  get isAtBoundary(): boolean {
    return this.#left === 0 && this.#stashed === 0
  }

  /** Whether a part of the current frame has been handed to the sink and more is to come, so that no other message may be sent in between. */
  get isMidFrame(): boolean {
    return this.#left > 0
  }

  /** Called by a sink within `frame`, which then returns false, to be shown the frame again once `bytes` of it (or all) are available. */
  demand(bytes: number): void {
    this.#demanded = bytes
  }

  /**
   * Hands bytes `start` to `end` to the sink, frame by frame, and returns the position where it stopped. That is `end`, or an earlier one if
   * the sink did not accept a frame for now; the caller then feeds the bytes from there again later.
   *
   * @param needs for each type, how many bytes of a frame to show to `frame` at once (all, if the frame is shorter), or PASSES, or UNKNOWN
   */
  read(buffer: Buffer, start: number, end: number, needs: Int32Array, sink: FrameSink): number {
    let at = start
    while (true) {
      if (this.#left > 0) {
        if (at === end) return at
        const take = Math.min(this.#left, end - at)
        this.#left -= take
        if (this.#leftPasses) sink.pass(buffer, at, at + take)
        else sink.rest(this.#leftType, buffer, at, at + take, this.#left === 0)
        at += take
        continue
      }
      if (this.#stashed > 0) {
        const next = this.#readStashed(buffer, at, end, needs, sink)
        if (next < 0) return -next - 1
        at = next
        continue
      }

      // The common case: frames within this chunk. A run of passing ones is handed over at once.
      const runStart = at
      let type = 0
      let length = 0
      let need = PASSES
      while (end - at >= HEADER_BYTES) {
        type = buffer[at] as number
        length =
          1 +
          (((buffer[at + 1] as number) << 24) |
            ((buffer[at + 2] as number) << 16) |
            ((buffer[at + 3] as number) << 8) |
            (buffer[at + 4] as number))
        need = needs[type] as number
        if (need !== PASSES || length < HEADER_BYTES || length > this.limit) break
        if (length > end - at) {
          this.#left = length - (end - at)
          this.#leftType = type
          this.#leftPasses = true
          at = end
          break
        }
        at += length
      }
      if (at > runStart) {
        sink.pass(buffer, runStart, at)
        if (at === end) return at
        continue
      }
      if (end - at < HEADER_BYTES) {
        this.#keep(buffer, at, end, HEADER_BYTES)
        return end
      }
      if (this.#isRefused(type, length, need, sink)) return end
      const wanted = Math.min(need, length)
      if (end - at < wanted) {
        this.#keep(buffer, at, end, wanted)
        return end
      }
      const have = Math.min(length, end - at)
      this.#demanded = 0
      if (sink.frame(type, buffer, at, at + have, length)) {
        this.#begun(type, length, have)
        at += have
        if (at === end) return at
        continue
      }
      if (Math.min(this.#demanded, length) <= have) return at
      this.#keep(buffer, at, end, Math.min(this.#demanded, length))
      return end
    }
  }

  /** Continues a frame whose start was stashed. Returns the position to continue at, or -(position) - 1 to stop there. */
  #readStashed(buffer: Buffer, start: number, end: number, needs: Int32Array, sink: FrameSink): number {
    let at = start
    if (this.#stashed < HEADER_BYTES) {
      at = this.#fill(buffer, at, end, HEADER_BYTES)
      if (this.#stashed < HEADER_BYTES) return -at - 1
    }
    const type = this.#stash[0] as number
    const length = 1 + this.#stash.readInt32BE(1)
    const need = needs[type] as number
    if (this.#isRefused(type, length, need, sink)) return -end - 1
    if (need === PASSES) {
      // The stash holds more than the header if the table of needs has changed since the frame was stashed.
      const have = this.#stashed
      const begun = this.#takeStash()
      this.#begun(type, length, have)
      this.#leftPasses = true
      sink.pass(begun, 0, have)
      return at
    }
    while (true) {
      const wanted = Math.min(Math.max(this.#demanded, need), length)
      if (this.#stashed < wanted) {
        at = this.#fill(buffer, at, end, wanted)
        if (this.#stashed < wanted) return -at - 1
      }
      this.#demanded = 0
      if (this.#showStash(type, length, sink)) break
      if (Math.min(this.#demanded, length) <= this.#stashed) {
        // Give the bytes of this chunk back, so that the caller has bytes to feed again even if the frame ends with the chunk.
        this.#stashed -= at - start
        return -start - 1
      }
    }
    const have = this.#stashed
    this.#takeStash()
    this.#begun(type, length, have)
    return at
  }

  /** While the sink is shown a whole frame, `isAtBoundary` is already true, so that the sink can act on the frame at once. */
  #showStash(type: number, length: number, sink: FrameSink): boolean {
    const have = this.#stashed
    if (have === length) this.#stashed = 0
    try {
      return sink.frame(type, this.#stash, 0, have, length)
    } finally {
      this.#stashed = have
    }
  }

  #begun(type: number, length: number, have: number): void {
    this.#demanded = 0
    this.#left = length - have
    this.#leftType = type
    this.#leftPasses = false
  }

  #isRefused(type: number, length: number, need: number, sink: FrameSink): boolean {
    if (need === UNKNOWN) sink.refuse(type, length, 'unknown')
    else if (length < HEADER_BYTES) sink.refuse(type, length, 'length')
    else if (length > this.limit) sink.refuse(type, length, 'too-large')
    else return false
    return true
  }

  /** Stashes the part of a frame that has arrived. The stash grows with the bytes that arrive, not with the length that the frame claims. */
  #keep(buffer: Buffer, start: number, end: number, wanted: number): void {
    invariant(this.#stashed === 0, 'a frame was begun while another one was stashed')
    this.#fill(buffer, start, end, wanted)
  }

  #fill(buffer: Buffer, start: number, end: number, wanted: number): number {
    const missing = wanted - this.#stashed
    const take = Math.min(missing, end - start)
    const total = this.#stashed + take
    if (this.#stash.length < total) {
      const grown = Buffer.allocUnsafe(Math.min(wanted, Math.max(64, 2 * total)))
      this.#stash.copy(grown, 0, 0, this.#stashed)
      this.#stash = grown
    }
    buffer.copy(this.#stash, this.#stashed, start, start + take)
    this.#stashed = total
    return start + take
  }

  #takeStash(): Buffer {
    const stash = this.#stash
    this.#stash = NOTHING
    this.#stashed = 0
    return stash
  }
}

/** Makes a table of needs: each type in `types` with the number of bytes that it needs, all others UNKNOWN. */
export function needsTable(types: Readonly<Record<string, number>>): Int32Array {
  const table = new Int32Array(256).fill(UNKNOWN)
  for (const [type, need] of Object.entries(types)) table[type.charCodeAt(0)] = need
  return table
}

/** In a table of needs: the whole frame, however long. */
export const WHOLE = 0x7fffffff
