/** What the memory of this process is used for. */

import { getHeapSpaceStatistics } from 'node:v8'
import type { MemorySnapshot } from './fleet.ts'

export function describeMemory(): MemorySnapshot[] {
  const spaces = getHeapSpaceStatistics().map(({ space_name, space_used_size, physical_space_size }) => ({
    name: `heap_${space_name}`,
    usedBytes: space_used_size,
    freeBytes: Math.max(physical_space_size - space_used_size, 0),
  }))
  const { rss, external, arrayBuffers } = process.memoryUsage()
  const known = spaces.reduce((sum, { usedBytes, freeBytes }) => sum + usedBytes + freeBytes, external)
  const part = (name: string, usedBytes: number) => ({ name, usedBytes: Math.max(usedBytes, 0), freeBytes: 0 })
  return [
    ...spaces,
    part('buffers', arrayBuffers),
    part('external', external - arrayBuffers),
    part('rest', rss - known),
  ]
}
