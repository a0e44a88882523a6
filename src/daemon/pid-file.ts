/** The pid file, for scripts and service managers: it exists while the pooler runs, and a pooler removes only its own. */

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
  /** Removes the file, unless another process has taken it over. */
  remove(): void
}

/**
 * Creates the pid file. Throws if the file names another running process, does not look like a pid file, or cannot be read or written.
 * Replaces a file whose process is gone.
 */
export function claimPidFile(
  path: string,
  owner: { readonly uid: number; readonly gid: number } | null = null,
): PidFile {
  if (path === '') return { remove: () => {} }
  refuseIfTaken(path)
  oneAtATime(path, () => {
    // Another process may have claimed the file before we got the lock.
    refuseIfTaken(path)
    try {
      rmSync(path, { force: true })
      create(path, owner)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST') throw new Error(takenSentence(path), { cause })
      throw new Error(`pidfile cannot be written: ${(cause as Error).message}`, { cause })
    }
  })
  return { remove: () => removeOwn(path) }
}

/** Creates the file with our process id in it, or leaves none. */
function create(path: string, owner: { readonly uid: number; readonly gid: number } | null): void {
  const file = openSync(path, 'wx', 0o644)
  try {
    writeFileSync(file, `${process.pid}\n`)
    if (owner !== null) fchownSync(file, owner.uid, owner.gid)
  } catch (problem) {
    rmSync(path)
    throw problem
  } finally {
    closeSync(file)
  }
}

/**
 * Runs `work` under a lock. Without it, two processes may both find the same stale file; the first replaces it with its own, and the second
 * then removes that one. The lock is a symbolic link whose target is the process id: unlike a file, it never exists without its content.
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

/** Creates the lock. Returns false if it exists. If links cannot be created here, returns true, so that all goes on without a lock. */
function link(lock: string): boolean {
  try {
    symlinkSync(String(process.pid), lock)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code !== 'EEXIST'
  }
}

/** The process that holds the lock; null if the lock is gone. */
function holderOf(lock: string): number | null {
  try {
    return Number(readlinkSync(lock))
  } catch {
    return null
  }
}

/**
 * Throws PgBouncer's message if the file names another running process. Also throws if the file is not a pid file, since claiming it would
 * destroy it.
 */
export function refuseIfTaken(path: string): void {
  const pid = pidIn(path)
  // In a container, every start may get the same process id, so our own id in a leftover file is no other instance.
  if (pid !== null && pid !== process.pid && isRunning(pid)) throw new Error(takenSentence(path))
}

function takenSentence(path: string): string {
  return `pidfile '${path}' exists, another instance running?`
}

/** The process id in the file; null if there is no such file or it is empty. Throws for any other content. */
function pidIn(path: string): number | null {
  const text = beginningOf(path)
  // After a crash of the machine, a file system may return zero bytes for what was written last.
  if (text === null || /^\0{0,10}$/.test(text)) return null
  const [, digits] = /^(\d{1,9})\s*$/.exec(text) ?? []
  if (digits === undefined)
    throw new Error(`pidfile '${path}' contains something other than a process ID; is it the right file?`)
  return Number(digits) === 0 ? null : Number(digits)
}

/** The first MAX_READ_BYTES of the file; null if there is no such file. Throws if it is not a regular file, such as /dev/null. */
function beginningOf(path: string): string | null {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new Error(`pidfile cannot be read: ${(cause as Error).message}`, { cause })
  }
  try {
    if (!fstatSync(file).isFile())
      throw new Error(`pidfile '${path}' is not a regular file; leave the setting empty to use no pid file`)
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
    // EPERM: the process runs but belongs to another user.
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
    // `user` may have no rights to remove files from the directory. An empty pid file counts as none.
    try {
      truncateSync(path)
    } catch {
      // The next pooler sees that our process is gone.
    }
  }
}
