/** Hot path: copies, hashes and compares spans of bytes without making strings of them. Figures are in docs/performance.md. */

/** A different number in each process, so that nobody can choose texts whose hashes are equal. */
const SEED = (Math.random() * 0x1_0000_0000) | 0

/** Up to this many bytes, a loop is faster than a call of `Buffer.compare`. */
const SHORT_BYTES = 64

/** Returns a hash of all bytes from `start` to `end`. It is less than 2 ** 29 and not negative, which fits into V8's smallest kind of number. */
export function hashBytes(buffer: Buffer, start: number, end: number): number {
  let even = SEED ^ (end - start)
  let odd = ~SEED
  let at = start
  for (const last = end - 7; at < last; at += 8) {
    even = Math.imul(even ^ word(buffer, at), 0x9e3779b1)
    odd = Math.imul(odd ^ word(buffer, at + 4), 0x85ebca6b)
    even = (even << 13) | (even >>> 19)
    odd = (odd << 15) | (odd >>> 17)
  }
  for (; at < end; at++) even = Math.imul(even ^ (buffer[at] as number), 0x01000193)
  return finish(Math.imul(even ^ odd, 0x85ebca6b))
}

/** How many words of a longer span are looked at. */
const SAMPLES = 16

/** Returns a hash of some of the bytes only, in constant time: good enough to find candidates, which are then compared. */
export function sampleBytes(buffer: Buffer, start: number, end: number): number {
  const length = end - start
  if (length <= 4 * SAMPLES) return hashBytes(buffer, start, end)
  let hash = SEED ^ length
  const last = length - 4
  for (let sample = 0; sample < SAMPLES; sample++) {
    const at = start + (((sample * last) / (SAMPLES - 1)) | 0)
    hash = Math.imul(hash ^ word(buffer, at), 0x9e3779b1)
    hash ^= hash >>> 15
  }
  return finish(hash)
}

/** Whether the bytes from `start` to `end` are those of `other`. */
export function equalsBytes(buffer: Buffer, start: number, end: number, other: Buffer): boolean {
  const { length } = other
  if (end - start !== length) return false
  if (length > SHORT_BYTES) return other.compare(buffer, start, end) === 0
  for (let index = 0; index < length; index++) if (buffer[start + index] !== other[index]) return false
  return true
}

/** Up to this many bytes, a loop is faster than a call of `Buffer.copy`. */
const SHORT_COPY_BYTES = 64

/** Copies the bytes from `start` to `end` to offset `at` of `target`, where there must be room. Returns the offset at which they end there. */
export function copyBytes(buffer: Buffer, start: number, end: number, target: Buffer, at: number): number {
  const length = end - start
  if (length > SHORT_COPY_BYTES) buffer.copy(target, at, start, end)
  else for (let index = 0; index < length; index++) target[at + index] = buffer[start + index] as number
  return at + length
}

function word(buffer: Buffer, at: number): number {
  return (
    (buffer[at] as number) |
    ((buffer[at + 1] as number) << 8) |
    ((buffer[at + 2] as number) << 16) |
    ((buffer[at + 3] as number) << 24)
  )
}

function finish(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 16), 0x7feb352d)
  return (mixed ^ (mixed >>> 15)) >>> 3
}
