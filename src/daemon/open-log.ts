/** Opens the log that the settings ask for: standard error, a file, and the system's log; and opens it anew when they change. */

import { appendFileSync, closeSync, fchownSync, openSync } from 'node:fs'
import { type Clock, SystemClock } from '../base/clock.ts'
import { createLog, type Level, type Log, type LogOptions } from '../base/log.ts'
import { LogLimit } from '../base/log-limit.ts'
import type { Settings } from '../settings/load.ts'
import { error, type Problem } from '../settings/problem.ts'
import type { GeneralSettings } from '../settings/schema.ts'
import { futureOwner } from './privileges.ts'
import { openSystemLog, type SystemLog } from './system-log.ts'

export interface OpenLog {
  readonly log: Log
  /**
   * From now on the log is written as these settings say. Its file is opened anew, also if it has the same name, so that a program
   * that rotates logs can have moved it away. Throws if that cannot be, and then all goes on as before.
   */
  reopen(general: GeneralSettings): void
  close(): void
}

/** Throws if the file cannot be written, or the system's log not be spoken to. */
export function openLog(general: GeneralSettings, clock: Clock, isQuiet: boolean, systemLogPath?: string): OpenLog {
  let file = openLogFile(general)
  let systemLog = openOurSystemLog(general)
  // Whoever read our standard error may go away; that is no reason to end.
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
  /** Lines that the file has not taken since it took one. */
  let lost = 0

  /** A disk that is full is no reason to end. */
  function writeToFile(descriptor: number, line: string): void {
    const lostBefore = lost
    try {
      appendFileSync(descriptor, `${line}\n`)
      lost = 0
    } catch (problem) {
      lost++
      // What is told comes here again, and must not be told of.
      if (lost === 1) log.error(`logfile: lines are lost: ${(problem as Error).message}`)
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
        // Lines may wait for one that goes on.
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
 * What is found wrong before the pooler has opened its log is to stand there, too: nobody may ever see our standard error, where it has been
 * told already.
 */
export function logAtStart(general: GeneralSettings, level: 'warning' | 'error', sentences: readonly string[]): void {
  if (sentences.length === 0 || (general.logfile === '' && !general.syslog)) return
  let opened: OpenLog
  try {
    opened = openLog(general, new SystemClock(), true)
  } catch {
    // It may be the log that cannot be opened; that is told.
    return
  }
  for (const sentence of sentences) opened.log[level](sentence)
  opened.close()
}

/** Throws if it cannot be. Lines must be on disk before the client is told of an error, so they are written at once. */
export function openLogFile(general: GeneralSettings): number | null {
  if (general.logfile === '') return null
  let file: number
  try {
    file = openSync(general.logfile, 'a', 0o640)
  } catch (cause) {
    throw new Error(`logfile cannot be written: ${(cause as Error).message}`, { cause })
  }
  const owner = futureOwner(general)
  if (owner !== null) fchownSync(file, owner.uid, owner.gid)
  return file
}

/** Whether the log can be written is known only by trying. */
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
