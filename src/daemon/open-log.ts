/** Opens the log that the settings ask for, standard error and a file, and opens it anew when they change. */

import { appendFileSync, closeSync, openSync } from 'node:fs'
import type { Clock } from '../base/clock.ts'
import { createLog, type Level, type Log, type LogOptions } from '../base/log.ts'
import type { GeneralSettings } from '../settings/schema.ts'

export interface OpenLog {
  readonly log: Log
  /**
   * From now on the log is written as these settings say. Its file is opened anew, also if it has the same name, so that a program
   * that rotates logs can have moved it away. Throws if that cannot be, and then all goes on as before.
   */
  reopen(general: GeneralSettings): void
  close(): void
}

/** Throws if the file cannot be written. */
export function openLog(general: GeneralSettings, clock: Clock, isQuiet: boolean): OpenLog {
  let file = openLogFile(general)
  // Whoever read our standard error may go away; that is no reason to end.
  if (!isQuiet && process.stderr.listenerCount('error') === 0) process.stderr.on('error', () => {})
  const options: LogOptions = {
    format: general.log_format,
    level: levelOf(general),
    wallMs: () => clock.wallMs(),
    write: (line) => {
      if (!isQuiet) process.stderr.write(`${line}\n`)
      if (file !== null) appendFileSync(file, `${line}\n`)
    },
  }
  const close = () => {
    if (file !== null) closeSync(file)
    file = null
  }
  return {
    log: createLog(options),
    reopen(next) {
      const opened = openLogFile(next)
      close()
      file = opened
      options.format = next.log_format
      options.level = levelOf(next)
    },
    close,
  }
}

/** Throws if it cannot be. Lines must be on disk before the client is told of an error, so they are written at once. */
export function openLogFile({ logfile }: GeneralSettings): number | null {
  return logfile === '' ? null : openSync(logfile, 'a', 0o640)
}

function levelOf({ verbose }: GeneralSettings): Level {
  return verbose > 0 ? 'debug' : 'info'
}
