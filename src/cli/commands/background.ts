/** `pgweir -d`: runs the pooler as a process of its own, and waits until that process serves clients or says why it cannot. */

import { spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { openLogFile } from '../../daemon/open-log.ts'
import { refuseIfTaken } from '../../daemon/pid-file.ts'
import type { GeneralSettings } from '../../settings/schema.ts'

/** Tells a process that `startInBackground` has started it. Precedes all other arguments. */
export const IN_BACKGROUND_FLAG = '--in-background'

/** What a process in the background reports to the process that has started it. */
export type Report = { readonly complaint: string } | { readonly ready: true }

/** Returns what prevents running in the background, in PgBouncer's words; null if nothing does. */
export function whyNotInBackground({ pidfile, logfile, syslog }: GeneralSettings): string | null {
  if (pidfile === '') return 'daemon needs pidfile configured'
  if (logfile === '' && !syslog) return 'daemon needs logfile or syslog configured'
  try {
    refuseIfTaken(pidfile)
    return null
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause)
  }
}

/** Starts the process in the background, and passes on its complaints. Resolves with the exit code, once that process serves clients or has ended. */
export async function startInBackground(
  args: readonly string[],
  general: GeneralSettings,
  complain: (text: string) => void,
): Promise<number> {
  // Messages that Node itself prints when it crashes must not be lost.
  let errors: number | 'ignore'
  try {
    errors = openLogFile(general) ?? 'ignore'
  } catch (cause) {
    complain(`pgweir: error: ${(cause as Error).message}\n`)
    return 1
  }
  const [, program = ''] = process.argv
  const child = spawn(process.execPath, [...process.execArgv, program, IN_BACKGROUND_FLAG, ...args], {
    detached: true,
    stdio: ['ignore', 'ignore', errors, 'ipc'],
  })
  if (typeof errors === 'number') closeSync(errors)
  return new Promise((resolve) => {
    let hasComplained = false
    child.on('message', (report: Report) => {
      if ('complaint' in report) {
        hasComplained = true
        complain(report.complaint)
        return
      }
      child.disconnect()
      child.unref()
      resolve(0)
    })
    child.on('error', (problem) => {
      complain(`pgweir: error: ${problem.message}\n`)
      resolve(1)
    })
    child.on('close', (code, signal) => {
      if (!hasComplained)
        complain(
          `pgweir: error: the background process ended (${signal ?? `exit code ${code}`})${general.logfile && `, see ${general.logfile}`}\n`,
        )
      resolve(code || 1)
    })
  })
}

/**
 * Called by the process in the background. Returns false if the process that has started it is gone; the process in the background then
 * continues.
 */
export function reportToStarter(report: Report): boolean {
  if (!process.connected) return false
  process.send?.(report, undefined, undefined, () => {})
  return true
}
