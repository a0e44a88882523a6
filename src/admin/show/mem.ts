/** SHOW MEM. */

import type { MemorySnapshot } from '../../workers/fleet.ts'
import { topic } from './topic.ts'

/** PgBouncer shows the size of an object in a cache. We count memory in pieces of this size instead. */
const PIECE_BYTES = 1024

/** The upper limit of int4, the type of PgBouncer's columns. */
const MAX_INT4 = 2 ** 31 - 1

export const mem = topic<MemorySnapshot>({
  help: "Memory of all worker processes together: the spaces of V8's heap by V8's names, buffers, and the rest. PgBouncer shows its own caches here, which pgweir does not have.",
  rows: ({ fleet }) => fleet.memory(),
  columns: [
    ['name', 'text', 'what the memory is used for', ({ name }) => name],
    ['size', 'int4', 'size of a piece in bytes', () => PIECE_BYTES],
    ['used', 'int4', 'number of pieces in use', ({ usedBytes }) => pieces(usedBytes)],
    ['free', 'int4', 'number of pieces that are allocated but free', ({ freeBytes }) => pieces(freeBytes)],
    [
      'memtotal',
      'int4',
      'size of all pieces in bytes; more than 2 GiB is shown as 2 GiB',
      ({ usedBytes, freeBytes }) => Math.min((pieces(usedBytes) + pieces(freeBytes)) * PIECE_BYTES, MAX_INT4),
    ],
  ],
})

function pieces(bytes: number): number {
  return Math.ceil(bytes / PIECE_BYTES)
}
