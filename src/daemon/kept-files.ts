/**
 * Reads files named in the settings. A process that gives up root's rights may lose access to some of them; their earlier content is then used
 * instead. Nothing is kept unless `keepFiles` was called.
 */

import { readFileSync } from 'node:fs'

let kept: Map<string, Buffer> | null = null
const unreadable = new Set<string>()

/** From now on, remembers every file that is read. `known` adds what another process has read for this one. */
export function keepFiles(known: ReadonlyMap<string, Uint8Array> = new Map()): void {
  kept ??= new Map()
  for (const [path, bytes] of known) kept.set(path, Buffer.from(bytes))
}

/** The remembered files, to be passed to workers, which have fewer rights from the start. */
export function keptFiles(): ReadonlyMap<string, Uint8Array> {
  return kept ?? new Map()
}

/** Throws the system's error if the file cannot be read and was not kept. */
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

/** Returns the kept content if `cause` is a lack of permission (EACCES) and the file was kept; otherwise throws `cause`. */
export function keptInstead(path: string, cause: unknown): Buffer {
  const bytes = (cause as NodeJS.ErrnoException).code === 'EACCES' ? kept?.get(path) : undefined
  if (bytes === undefined) throw cause
  unreadable.add(path)
  return bytes
}

/** Returns the paths for which kept content was used since the last call. */
export function takeUnreadable(): string[] {
  const paths = [...unreadable]
  unreadable.clear()
  return paths
}
