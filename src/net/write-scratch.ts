/**
 * Hot path: where a channel on node:net copies the bytes that it writes, so that a write which the kernel takes whole allocates no memory
 * for them.
 */

/** The most bytes that one write carries, and the size of the memory that all channels of the process share for it. */
export const SCRATCH_BYTES = 64 * 1024

// allocUnsafeSlow: memory of its own, not a part of the pool that Buffer.from() allocates from.
let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
/** Everything before this offset belongs to sockets that have not delivered it yet. */
let free = 0

/**
 * Copies bytes `start` to `end`, or as many of them as one write may carry. The copy is valid until the next call, or for good after
 * `keepLastCopy`.
 */
export function copyForWrite(buffer: Buffer, start: number, end: number): Buffer {
  const length = Math.min(end - start, SCRATCH_BYTES)
  if (length > SCRATCH_BYTES - free) {
    scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
    free = 0
  }
  const copy = scratch.subarray(free, free + length)
  buffer.copy(copy, 0, start, start + length)
  return copy
}

/**
 * The kernel did not take the last copy at once, so its socket now reads from it: later copies go behind it. Many small debts share one
 * piece of memory this way; it is freed with the last of them.
 */
export function keepLastCopy(copy: Buffer): void {
  free += copy.length
}
