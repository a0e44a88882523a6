/** One direction of an in-memory connection, for the memory transport: a queue of bytes, cut into reads by a policy. */

/**
 * How long one read is: all that has arrived (`glued`), at most so many bytes, or random lengths from 1 to `most`, which the same seed
 * repeats exactly.
 */
export type Cut = 'glued' | number | { readonly seed: number; readonly most?: number }

/** How many bytes of `available` the next read returns. */
type NextLength = (available: number) => number

export class MemoryPipe {
  /** Bytes that were written and not read yet. */
  length = 0
  /** What follows the bytes. */
  end: 'none' | 'fin' | 'reset' = 'none'
  readonly #windowBytes: number
  readonly #nextLength: NextLength
  readonly #chunks: Buffer[] = []

  /** The window stands for what the kernels between the two sides would hold. The writer owes what does not fit into it. */
  constructor(windowBytes: number, cut: Cut) {
    this.#windowBytes = windowBytes
    this.#nextLength = nextLengthOf(cut)
  }

  get owedBytes(): number {
    return Math.max(0, this.length - this.#windowBytes)
  }

  /** Returns how many of the bytes fit into the window. */
  write(buffer: Buffer, start: number, end: number): number {
    const owedBefore = this.owedBytes
    this.#chunks.push(Buffer.from(buffer.subarray(start, end)))
    this.length += end - start
    return end - start - (this.owedBytes - owedBefore)
  }

  /** Moves the bytes of the next read into `target` and returns their number. */
  read(target: Buffer, at: number): number {
    const arrived = Math.min(this.length - this.owedBytes, target.length - at)
    const length = arrived && this.#nextLength(arrived)
    let moved = 0
    while (moved < length) {
      const chunk = this.#chunks.shift() as Buffer
      const part = chunk.copy(target, at + moved, 0, length - moved)
      if (part < chunk.length) this.#chunks.unshift(chunk.subarray(part))
      moved += part
    }
    this.length -= length
    return length
  }

  /** Drops the owed bytes: the writer is gone before the kernel had them. */
  dropOwed(): void {
    let owed = this.owedBytes
    this.length -= owed
    while (owed > 0) {
      const chunk = this.#chunks.pop() as Buffer
      if (chunk.length > owed) this.#chunks.push(chunk.subarray(0, chunk.length - owed))
      owed -= chunk.length
    }
  }

  clear(): void {
    this.#chunks.length = 0
    this.length = 0
  }
}

function nextLengthOf(cut: Cut): NextLength {
  if (cut === 'glued') return (available) => available
  if (typeof cut === 'number') return (available) => Math.min(available, cut)
  const { seed, most = 64 } = cut
  const random = randomFrom(seed)
  return (available) => Math.min(available, 1 + Math.floor(random() * most))
}

/** Mulberry32: small, and the same everywhere. */
function randomFrom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
