/** Cuts bytes into the pieces in which a network may deliver them, for tests of everything that reads a stream. */

/** All ways to cut in two, no cut, pieces of one byte each, and a few ways to cut in three. */
export function everySplit(bytes: Buffer): Buffer[][] {
  const { length } = bytes
  const cuts: number[][] = [[]]
  for (let at = 1; at < length; at++) cuts.push([at])
  cuts.push(Array.from({ length: Math.max(0, length - 1) }, (_, at) => at + 1))
  // Around the header of the first frame, at both ends, and evenly.
  for (const pair of [
    [1, 5],
    [4, 6],
    [5, length - 1],
    [1, length - 1],
    [Math.floor(length / 3), Math.floor((2 * length) / 3)],
  ] as const)
    if (pair[0] > 0 && pair[0] < pair[1] && pair[1] < length) cuts.push([...pair])

  const different = new Map(cuts.map((positions) => [positions.join(), positions]))
  return [...different.values()].map((positions) => cutAt(bytes, positions))
}

/** Cuts at the given positions, which must ascend. */
export function cutAt(bytes: Buffer, positions: readonly number[]): Buffer[] {
  return [0, ...positions].map((start, index) => bytes.subarray(start, positions[index] ?? bytes.length))
}

/** Cuts into pieces of the given sizes, over and over, so that random sizes need not know how long the bytes are. */
export function cutInSizes(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const size = Math.max(1, sizes[pieces.length % sizes.length] ?? 1)
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}

/** For the name of a test: `3+1+1`. */
export function showSplit(pieces: readonly Buffer[]): string {
  return pieces.length > 4 ? `into ${pieces.length}` : pieces.map((piece) => piece.length).join('+')
}

const MARGIN_BYTES = 8

/**
 * Hands bytes over as a channel does: in the middle of a buffer that all reads share. Code that keeps a span without copying it, or reads
 * beyond its end, then finds something else there.
 */
export function readShared<T>(bytes: Buffer, onRead: (buffer: Buffer, start: number, end: number) => T): T {
  const shared = Buffer.alloc(bytes.length + 2 * MARGIN_BYTES)
  bytes.copy(shared, MARGIN_BYTES)
  const result = onRead(shared, MARGIN_BYTES, MARGIN_BYTES + bytes.length)
  shared.fill(0xff)
  return result
}
