/** The file that names the running process, for scripts and service managers: there is one while the pooler runs, and it is its own. */

import {
  closeSync,
  fchownSync,
  fstatSync,
  openSync,
  readlinkSync,
  readSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'

export interface PidFile {
  /** Takes it away, unless it is somebody else's by now. */
  remove(): void
}

/** Throws if it names another process that runs, is another kind of file, or cannot be written. One whose process is gone is taken over. */
export function claimPidFile(
  path: string,
  owner: { readonly uid: number; readonly gid: number } | null = null,
): PidFile {
  if (path === '') return { remove: () => {} }
  refuseIfTaken(path)
  oneAtATime(path, () => {
    // Somebody may have been quicker.
    refuseIfTaken(path)
    let file: number
    try {
      rmSync(path, { force: true })
      file = openSync(path, 'wx', 0o644)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST') throw new Error(takenSentence(path), { cause })
      throw new Error(`pidfile cannot be written: ${(cause as Error).message}`, { cause })
    }
    writeFileSync(file, `${process.pid}\n`)
    if (owner !== null) fchownSync(file, owner.uid, owner.gid)
    closeSync(file)
  })
  return { remove: () => removeOwn(path) }
}

/**
 * Of two that find the same leftover, the slower one would take away the file of the other, which it has looked at too early. What keeps it from
 * that is a link that names a process: unlike a file, it is never there without what it says.
 */
function oneAtATime(path: string, work: () => void): void {
  const lock = `${path}.lock`
  if (!link(lock)) {
    const holder = holderOf(lock)
    if (holder !== null && holder !== process.pid && isRunning(holder)) throw new Error(takenSentence(path))
    rmSync(lock, { force: true })
    if (!link(lock)) throw new Error(takenSentence(path))
  }
  try {
    work()
  } finally {
    rmSync(lock, { force: true })
  }
}

/** False if there is one. Where there can be none, all goes on without. */
function link(lock: string): boolean {
  try {
    symlinkSync(String(process.pid), lock)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code !== 'EEXIST'
  }
}

/** Null if it is gone. */
function holderOf(lock: string): number | null {
  try {
    return Number(readlinkSync(lock))
  } catch {
    return null
  }
}

/** Throws if another process that runs has written it, in the words of PgBouncer; and if it is something else, which we would destroy. */
export function refuseIfTaken(path: string): void {
  const pid = pidIn(path)
  // In a container each start may have the same process id as the one before.
  if (pid !== null && pid !== process.pid && isRunning(pid)) throw new Error(takenSentence(path))
}

function takenSentence(path: string): string {
  return `pidfile '${path}' exists, another instance running?`
}

/** Null if there is no such file, or nothing in it. */
function pidIn(path: string): number | null {
  const text = beginningOf(path)
  // After a crash of the machine there may be nothing but zeros where it was written.
  if (text === null || /^\0{0,10}$/.test(text)) return null
  const [, digits] = /^(\d{1,9})\s*$/.exec(text) ?? []
  if (digits === undefined)
    throw new Error(`pidfile '${path}' has something else than a process id in it: is it the right file?`)
  return Number(digits) === 0 ? null : Number(digits)
}

/** As much as tells it from others. Null if there is no such file; throws for what is none, as /dev/null. */
function beginningOf(path: string): string | null {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw cause
  }
  try {
    if (!fstatSync(file).isFile()) throw new Error(`pidfile '${path}' is not a file; leave it empty to have none`)
    const buffer = Buffer.alloc(MAX_READ_BYTES)
    return buffer.toString('utf8', 0, readSync(file, buffer, 0, MAX_READ_BYTES, 0))
  } finally {
    closeSync(file)
  }
}

const MAX_READ_BYTES = 64

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    // It runs, and belongs to another user.
    return (cause as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function isOwn(path: string): boolean {
  try {
    return pidIn(path) === process.pid
  } catch {
    return false
  }
}

function removeOwn(path: string): void {
  if (!isOwn(path)) return
  try {
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
