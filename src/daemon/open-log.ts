/** Opens the log that the settings ask for: standard error, and a file. */

import { appendFileSync, closeSync, openSync } from 'node:fs'
import type { Clock } from '../base/clock.ts'
import { createLog, type Log } from '../base/log.ts'
import type { GeneralSettings } from '../settings/schema.ts'

export function openLog(
  general: GeneralSettings,
  clock: Clock,
  isQuiet: boolean,
): { readonly log: Log; close(): void } {
  // Lines must be on disk before the client is told of an error, so they are written at once.
  const file = general.logfile === '' ? null : openSync(general.logfile, 'a', 0o640)
  // Whoever read our standard error may go away; that is no reason to end.
  if (!isQuiet && process.stderr.listenerCount('error') === 0) process.stderr.on('error', () => {})
  const log = createLog({
    format: general.log_format,
    level: general.verbose > 0 ? 'debug' : 'info',
    wallMs: () => clock.wallMs(),
    write: (line) => {
      if (!isQuiet) process.stderr.write(`${line}\n`)
      if (file !== null) appendFileSync(file, `${line}\n`)
    },
  })
  return {
    log,
    close: () => {
      if (file !== null) closeSync(file)
    },
  }
}
