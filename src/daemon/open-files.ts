/** Whether the system lets a process open as many files as its settings may take, each client and each server being one. */

import { readFileSync } from 'node:fs'
import type { GeneralSettings } from '../settings/schema.ts'

/** As docs/sizing.md has it: libraries, the log, the listening sockets; and what HTTP may take. */
const OWN_FILES = 30
const HTTP_FILES = 100

/** A sentence for the log if it does not; null if it does, or nobody knows. */
export function tooFewOpenFiles(
  {
    max_client_conn,
    http_listen,
    health_listen,
  }: Pick<GeneralSettings, 'max_client_conn' | 'http_listen' | 'health_listen'>,
  allowed = allowedOpenFiles(),
): string | null {
  const needed = max_client_conn + OWN_FILES + HTTP_FILES * (http_listen.length + health_listen.length)
  if (needed <= allowed) return null
  return `max_client_conn = ${max_client_conn} may take ${needed} open files, and one more for each server, but the system allows ${allowed}: raise that (LimitNOFILE= of systemd, ulimit -n), or clients will wait or be refused`
}

/** Node has raised the soft limit to the hard one already. */
function allowedOpenFiles(): number {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    // Another system than Linux.
    return Number.POSITIVE_INFINITY
  }
}
