/**
 * Files that the settings name, for whoever gives up the rights to read them: what cannot be read any more stays as it was read before.
 * Nothing is kept unless `keepFiles` was called.
 */

import { readFileSync } from 'node:fs'

let kept: Map<string, Buffer> | null = null
const unreadable = new Set<string>()

/** From now on what is read is remembered, besides what another process has read for this one. */
export function keepFiles(known: ReadonlyMap<string, Uint8Array> = new Map()): void {
  kept ??= new Map()
  for (const [path, bytes] of known) kept.set(path, Buffer.from(bytes))
}

/** For processes that have fewer rights from their beginning. */
export function keptFiles(): ReadonlyMap<string, Uint8Array> {
  return kept ?? new Map()
}

/** Throws the system's error where it cannot be read, and could not be before. */
export function readSettingsFile(path: string): Buffer {
  try {
    const bytes = readFileSync(path)
    unreadable.delete(path)
    kept?.set(path, bytes)
    return bytes
  } catch (cause) {
    return keptInstead(path, cause)
  }
}

/** Throws the error unless it is one of rights, and the file is kept. */
export function keptInstead(path: string, cause: unknown): Buffer {
  const bytes = (cause as NodeJS.ErrnoException).code === 'EACCES' ? kept?.get(path) : undefined
  if (bytes === undefined) throw cause
  unreadable.add(path)
  return bytes
}

/** Those that were asked for since, and stayed as they were before. */
export function takeUnreadable(): string[] {
  const paths = [...unreadable]
  unreadable.clear()
  return paths
}
