/** `pgweir -d`: runs the pooler as a process of its own, and waits until that serves clients, or tells why it cannot. */

import { spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { openLogFile } from '../../daemon/open-log.ts'
import { refuseIfTaken } from '../../daemon/pid-file.ts'
import type { GeneralSettings } from '../../settings/schema.ts'

/** Tells a process that it was started by this, in front of all other arguments. */
export const IN_BACKGROUND_FLAG = '--in-background'

/** What a process in the background says to the one that has started it. */
export type Report = { readonly complaint: string } | { readonly ready: true }

/** What is in the way of running in the background, as a sentence of PgBouncer; null if nothing is. */
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

/** Resolves with the exit code, once the other process serves clients or has ended. What that complains of is passed on. */
export async function startInBackground(
  args: readonly string[],
  general: GeneralSettings,
  complain: (text: string) => void,
): Promise<number> {
  // What Node itself has to say when it breaks shall not be lost.
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
          `pgweir: error: the process in the background ended (${signal ?? `exit code ${code}`})${general.logfile && `, see ${general.logfile}`}\n`,
        )
      resolve(code || 1)
    })
  })
}

/** The side of the process in the background. False if whoever has started us is gone; we are not. */
export function reportToStarter(report: Report): boolean {
  if (!process.connected) return false
  process.send?.(report, undefined, undefined, () => {})
  return true
}
