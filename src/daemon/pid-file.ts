/** The file that names the running process, for scripts and service managers: there is one while the pooler runs, and it is its own. */

import { closeSync, fchownSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'

export interface PidFile {
  /** Takes it away, unless it is somebody else's by now. */
  remove(): void
}

/** Throws if it names another process that runs, or cannot be written. One whose process is gone is taken over. */
export function claimPidFile(
  path: string,
  owner: { readonly uid: number; readonly gid: number } | null = null,
): PidFile {
  if (path === '') return { remove: () => {} }
  refuseIfTaken(path)
  rmSync(path, { force: true })
  let file: number
  try {
    // Somebody may be as quick as we are.
    file = openSync(path, 'wx', 0o644)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') throw new Error(takenSentence(path), { cause })
    throw new Error(`pidfile cannot be written: ${(cause as Error).message}`, { cause })
  }
  writeFileSync(file, `${process.pid}\n`)
  if (owner !== null) fchownSync(file, owner.uid, owner.gid)
  closeSync(file)
  return { remove: () => removeOwn(path) }
}

/** Throws, in the words of PgBouncer, if another process that runs has written it. */
export function refuseIfTaken(path: string): void {
  const pid = pidIn(path)
  // In a container each start may have the same process id as the one before.
  if (pid !== null && pid !== process.pid && isRunning(pid)) throw new Error(takenSentence(path))
}

function takenSentence(path: string): string {
  return `pidfile '${path}' exists, another instance running?`
}

/** Null if there is no such file, or no process id in it. */
function pidIn(path: string): number | null {
  try {
    const [, digits] = /^(\d{1,9})\s*$/.exec(readFileSync(path, 'utf8')) ?? []
    return digits === undefined || Number(digits) === 0 ? null : Number(digits)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw cause
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    // It runs, and belongs to another user.
    return (cause as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function removeOwn(path: string): void {
  try {
    if (pidIn(path) !== process.pid) return
    rmSync(path)
  } catch {
    // Where `user` has no rights to the folder, an empty file is as good as none.
    try {
      truncateSync(path)
    } catch {
      // The next one sees that we are gone.
    }
  }
}
