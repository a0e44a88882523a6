/** SHOW MEM. */

import type { MemorySnapshot } from '../../workers/fleet.ts'
import { topic } from './topic.ts'

/** PgBouncer shows the size of an object in a cache. We count memory in pieces of this size instead. */
const PIECE_BYTES = 1024

/** The upper limit of int4, the type of PgBouncer's columns. */
const MAX_INT4 = 2 ** 31 - 1

export const mem = topic<MemorySnapshot>({
  help: 'Memory of the processes, all workers together: the parts of the heap of V8 by their names there, buffers, and the rest. PgBouncer tells of its own caches here, which pgweir has not.',
  rows: ({ fleet }) => fleet.memory(),
  columns: [
    ['name', 'text', 'what it is used for', ({ name }) => name],
    ['size', 'int4', 'bytes of a piece', () => PIECE_BYTES],
    ['used', 'int4', 'pieces in use', ({ usedBytes }) => pieces(usedBytes)],
    ['free', 'int4', 'pieces that were set aside and are free', ({ freeBytes }) => pieces(freeBytes)],
    [
      'memtotal',
      'int4',
      'bytes of all pieces; what is more than 2 GiB is told as that',
      ({ usedBytes, freeBytes }) => Math.min((pieces(usedBytes) + pieces(freeBytes)) * PIECE_BYTES, MAX_INT4),
    ],
  ],
})

function pieces(bytes: number): number {
  return Math.ceil(bytes / PIECE_BYTES)
}
