/** Watches auth_file and applies a changed file without a RELOAD, unless the new file is broken. */

import { stat } from 'node:fs/promises'
import type { Log } from '../base/log.ts'
import type { Settings } from '../settings/load.ts'
import { formatProblem } from '../settings/problem.ts'
import { takeUnreadable } from './kept-files.ts'
import { type LoadedUsers, loadUsers, stampOf, type Users } from './users.ts'

export interface UserFileWatchOptions {
  settings(): Settings
  readonly log: Log
  readonly users: Pick<Users, 'stamp'>
  take(loaded: LoadedUsers): void
  /** Returns the stamp of the file's current version. Tests replace it. */
  readStamp?(path: string): Promise<string>
}

/** How often to look. Polling with stat is cheap, works on every file system, and also notices a file that was replaced under the same name. */
const LOOK_MS = 1_000

export class UserFileWatch {
  readonly #options: UserFileWatchOptions
  #nextLookMs = 0
  #isLooking = false
  /** The stamp at the last look. A changed file is read only when two looks in a row see the same stamp, since it may be written in pieces. */
  #seen = ''
  /** The stamp of the version that was found broken, so that it is reported only once. */
  #refused = ''

  constructor(options: UserFileWatchOptions) {
    this.#options = options
  }

  /** Called by the janitor. */
  sweep(nowMs: number): void {
    if (this.#isLooking || nowMs < this.#nextLookMs) return
    this.#nextLookMs = nowMs + LOOK_MS
    const path = this.#options.settings().general.auth_file
    if (path === '') return
    this.#isLooking = true
    const { readStamp = stampOnDisk, users } = this.#options
    const { stamp: before } = users
    readStamp(path)
      .then((stamp) => {
        // Otherwise a reload has read the file meanwhile, and this stamp may be older than that.
        if (users.stamp === before) this.#look(path, stamp)
      })
      .finally(() => {
        this.#isLooking = false
      })
  }

  #look(path: string, stamp: string): void {
    const { settings, users, log, take } = this.#options
    const isSettled = stamp === this.#seen
    this.#seen = stamp
    if (!isSettled || stamp === users.stamp || stamp === this.#refused) return
    // A reload may have changed auth_file.
    if (settings().general.auth_file !== path) return
    const loaded = loadUsers(settings())
    for (const unreadable of takeUnreadable())
      log.warning(`${unreadable} has changed but cannot be read; its previous content stays in use`)
    if (loaded.isWhole) {
      take(loaded)
      return
    }
    this.#refused = stamp
    for (const problem of loaded.problems) log.error(formatProblem(problem))
    log.error(`${path} has changed but is broken; the previous users stay in use`)
  }
}

function stampOnDisk(path: string): Promise<string> {
  return stat(path).then(
    (stats) => stampOf(path, stats),
    (problem: NodeJS.ErrnoException) => `${path}: ${problem.code}`,
  )
}
