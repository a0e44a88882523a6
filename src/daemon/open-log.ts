/** Opens the log that the settings ask for (standard error, a file, the system's log) and reopens it when the settings change. */

import { appendFileSync, closeSync, constants, fchownSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { SystemUser } from '../auth/system-users.ts'
import { type Clock, SystemClock } from '../base/clock.ts'
import { createLog, type Level, type Log, type LogOptions } from '../base/log.ts'
import { LogLimit } from '../base/log-limit.ts'
import type { Settings } from '../settings/load.ts'
import { error, type Problem } from '../settings/problem.ts'
import type { GeneralSettings } from '../settings/schema.ts'
import { futureOwner, ROOT, withRightsOf } from './privileges.ts'
import { openSystemLog, type SystemLog } from './system-log.ts'

export interface OpenLog {
  readonly log: Log
  /**
   * Applies new settings to the log. Reopens the file even if its name is unchanged, because log rotation may have moved it away. Throws if
   * the file or the system's log cannot be opened; the log then continues as before.
   */
  reopen(general: GeneralSettings): void
  close(): void
}

/** Throws if the file cannot be opened for writing or the system's log cannot be used. */
export function openLog(general: GeneralSettings, clock: Clock, isQuiet: boolean, systemLogPath?: string): OpenLog {
  let file = openLogFile(general)
  let systemLog = openOurSystemLog(general)
  // The program that reads our standard error may exit. An 'error' event without a listener would then end this process.
  if (!isQuiet && process.stderr.listenerCount('error') === 0) process.stderr.on('error', () => {})
  const limit = new LogLimit(general.log_rate_limit)
  const options: LogOptions = {
    format: general.log_format,
    level: levelOf(general),
    limit,
    wallMs: () => clock.wallMs(),
    write: (line, level, bare) => {
      if (!isQuiet) process.stderr.write(`${line}\n`)
      if (file !== null) writeToFile(file, line)
      systemLog?.write(level, bare)
    },
  }
  const log = createLog(options)
  /** How many lines in a row could not be written to the file. */
  let lost = 0

  /** Does not throw: a full disk must not end the process. */
  function writeToFile(descriptor: number, line: string): void {
    const lostBefore = lost
    try {
      appendFileSync(descriptor, `${line}\n`)
      lost = 0
    } catch (problem) {
      lost++
      // This log line comes here again and may fail, too; only the first failure is logged.
      if (lost === 1) log.error(`logfile: lines cannot be written and are lost: ${(problem as Error).message}`)
      return
    }
    if (lostBefore > 0) log.warning(`logfile: ${lostBefore} lines were lost`)
  }

  function openOurSystemLog(settings: GeneralSettings): SystemLog | null {
    return openSystemLog(
      settings,
      () => clock.wallMs(),
      (sentence) => log.warning(sentence),
      systemLogPath,
    )
  }

  function close(): void {
    if (file !== null) closeSync(file)
    file = null
    systemLog?.close()
    systemLog = null
  }

  return {
    log,
    reopen(next) {
      const opened = openLogFile(next)
      const formerSystemLog = systemLog
      try {
        // Keep an open system log and only change its settings: it may hold lines that are not sent yet.
        if (systemLog !== null && next.syslog) systemLog.settings = next
        else systemLog = openOurSystemLog(next)
      } catch (problem) {
        if (opened !== null) closeSync(opened)
        throw problem
      }
      if (formerSystemLog !== systemLog) formerSystemLog?.close()
      if (file !== null) closeSync(file)
      file = opened
      options.format = next.log_format
      options.level = levelOf(next)
      limit.perSecond = next.log_rate_limit
    },
    close,
  }
}

/**
 * Writes problems that were found before the pooler has opened its log into that log. They were written to standard error already, but
 * perhaps nobody reads it.
 */
export function logAtStart(general: GeneralSettings, level: 'warning' | 'error', sentences: readonly string[]): void {
  if (sentences.length === 0 || (general.logfile === '' && !general.syslog)) return
  let opened: OpenLog
  try {
    opened = openLog(general, new SystemClock(), true)
  } catch {
    // The problem may be the log itself. It was reported on standard error.
    return
  }
  for (const sentence of sentences) opened.log[level](sentence)
  opened.close()
}

/**
 * Opens `logfile` and returns its descriptor; null if the setting is empty. Throws if it cannot be written. Not a stream: lines are written
 * synchronously, because a line about an error must be on disk before the client receives that error.
 */
export function openLogFile(general: GeneralSettings): number | null {
  if (general.logfile === '') return null
  try {
    const owner = futureOwner(general)
    return owner === null ? openSync(general.logfile, 'a', MODE) : openFor(owner, general.logfile)
  } catch (cause) {
    throw new Error(`logfile cannot be written: ${(cause as Error).message}`, { cause })
  }
}

const MODE = 0o640
const WRITABLE_FOR_OTHERS = 0o022

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants

/**
 * Opens the file as root, for the user that we become. Root's own rights are used only where this user has none, and never through a symbolic
 * link that may be another user's: it could lead to any file of the system. /dev/stdout is one of root's.
 */
function openFor(owner: SystemUser, path: string): number {
  try {
    return withRightsOf(owner, () => openSync(path, 'a', MODE))
  } catch (problem) {
    if ((problem as NodeJS.ErrnoException).code !== 'EACCES') throw problem
  }
  const how = isOnlyRoots(dirname(path)) ? 0 : O_NOFOLLOW
  const file = openSync(path, O_WRONLY | O_APPEND | O_CREAT | how, MODE)
  fchownSync(file, owner.uid, owner.gid)
  return file
}

function isOnlyRoots(folder: string): boolean {
  const { uid, mode } = statSync(folder)
  return uid === ROOT && (mode & WRITABLE_FOR_OTHERS) === 0
}

/** Checks whether the log can be written by opening it. */
export function logProblems({ general, origins }: Pick<Settings, 'general' | 'origins'>): Problem[] {
  const problems: Problem[] = []
  try {
    const file = openLogFile(general)
    if (file !== null) closeSync(file)
  } catch (cause) {
    problems.push(error(origins.logfile, (cause as Error).message))
  }
  try {
    openSystemLog(general, Date.now, () => {})?.close()
  } catch (cause) {
    problems.push(error(origins.syslog, (cause as Error).message))
  }
  return problems
}

function levelOf({ verbose }: GeneralSettings): Level {
  return verbose > 0 ? 'debug' : 'info'
}
