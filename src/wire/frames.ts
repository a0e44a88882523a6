/**
 * Hot path: cuts a stream of bytes into the frames of the protocol, for both directions. No allocation per frame, no copy unless a
 * frame that must be seen whole is split over chunks.
 *
 * A frame is one type byte, a length of four bytes that counts itself, and the body:
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

import { invariant } from '../base/invariant.ts'

/** Type byte and length. */
export const HEADER_BYTES = 5

/** In a table of needs: frames of this type pass without being looked at. */
export const PASSES = 0
/** In a table of needs: frames of this type must not come. */
export const UNKNOWN = -1

/** Who understands the frames. Spans are valid only until the method returns. */
export interface FrameSink {
  /** Bytes of frames that pass: parts of one, or several at once. */
  pass(buffer: Buffer, start: number, end: number): void
  /**
   * A frame of `length` bytes (with its header) begins at `start`; as much of it as was needed, or more, is there up to `end`.
   * Returns false to be asked again: later (then `read` stops, and nothing of the frame counts as read), or, after a call of
   * `demand`, as soon as that many of its bytes are there.
   */
  frame(type: number, buffer: Buffer, start: number, end: number, length: number): boolean
  /** More of the frame that `frame` has begun, in order; `isLast` with its last byte. */
  rest(type: number, buffer: Buffer, start: number, end: number, isLast: boolean): void
  /** A frame of an unknown type, or with an impossible or forbidden length. Nothing more can be read. */
  refuse(type: number, length: number, why: Refusal): void
}

export type Refusal = 'unknown' | 'length' | 'too-large'

const NOTHING = Buffer.alloc(0)

/** The state of one direction of one connection: where in a frame it stands. */
export class Frames {
  /** Frames with more bytes than this are refused. */
  limit: number
  /** The start of a frame of which too little has come to look at it. */
  #stash: Buffer = NOTHING
  #stashed = 0
  /** How many bytes of the stashed frame the sink has demanded to see at once; 0 where the table of needs says it. */
  #demanded = 0
  /** Bytes still to come of the frame at hand. */
  #left = 0
  #leftType = 0
  /** The frame at hand passes, so its bytes go to `pass` and not to `rest`. */
  #leftPasses = false

  constructor(limit: number) {
    this.limit = limit
  }

  /** Between two frames, with nothing of the next one read. */
  get isAtBoundary(): boolean {
    return this.#left === 0 && this.#stashed === 0
  }

  /** Some of the frame at hand has been handed on, and more of it is to come: nothing else can be said in between. */
  get isMidFrame(): boolean {
    return this.#left > 0
  }

  /** Called by a sink within `frame`, which then returns false: show the frame again once `bytes` of it (or all) are there. */
  demand(bytes: number): void {
    this.#demanded = bytes
  }

  /**
   * Hands bytes `start` to `end` to the sink, frame by frame, and returns where it stopped: `end`, or a position before it if the sink
   * refused a frame for now; the caller then feeds the same bytes again from there.
   *
   * @param needs for each type how many bytes of a frame `frame` wants to see at once (all, if the frame is shorter), or PASSES, or UNKNOWN
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

      // The common case: frames that lie in this chunk. A run of passing ones is handed over at once.
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

  /** Goes on with a frame whose start was stashed. Returns where to go on, or -(position) - 1 to stop. */
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
      // More than the header, if the table of needs has changed since the frame was stashed.
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
        // Given back, so that the caller has bytes in hand to feed again, even where the frame ends with the chunk.
        this.#stashed -= at - start
        return -start - 1
      }
    }
    const have = this.#stashed
    this.#takeStash()
    this.#begun(type, length, have)
    return at
  }

  /** While a sink is shown the whole of a frame, nothing of it is left to read: what follows from it may happen at once. */
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

  /** Copies what has come of a frame. The stash grows with what really comes, not with what a length promises. */
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

/** A table of needs: every type in `types` with the number of bytes that it needs, all others UNKNOWN. */
export function needsTable(types: Readonly<Record<string, number>>): Int32Array {
  const table = new Int32Array(256).fill(UNKNOWN)
  for (const [type, need] of Object.entries(types)) table[type.charCodeAt(0)] = need
  return table
}

/** In a table of needs: the whole frame, however long. */
export const WHOLE = 0x7fffffff
