/** Notices that auth_file has been written anew: what it says then holds without a RELOAD, unless it is broken. */

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
  /** Tells one version of the file from another; tests say it themselves. */
  readStamp?(path: string): Promise<string>
}

/** Asking the system is cheap, and works for every file system and for files that are replaced by others of the same name. */
const LOOK_MS = 1_000

export class UserFileWatch {
  readonly #options: UserFileWatchOptions
  #nextLookMs = 0
  #isLooking = false
  /** What was there at the last look: it is read once it has not changed for one more, since it may be written in pieces. */
  #seen = ''
  /** What was found to be broken. */
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
        // A reload has read it meanwhile, and this may tell what was there before.
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
    // A reload may have named another one.
    if (settings().general.auth_file !== path) return
    const loaded = loadUsers(settings())
    for (const unreadable of takeUnreadable())
      log.warning(`${unreadable} has changed and cannot be read: what was read before goes on`)
    if (loaded.isWhole) {
      take(loaded)
      return
    }
    this.#refused = stamp
    for (const problem of loaded.problems) log.error(formatProblem(problem))
    log.error(`${path} has changed and is broken: users stay as they were`)
  }
}

function stampOnDisk(path: string): Promise<string> {
  return stat(path).then(
    (stats) => stampOf(path, stats),
    (problem: NodeJS.ErrnoException) => `${path}: ${problem.code}`,
  )
}
