/** Checks whether the system's limit on open files is high enough for the settings. Each client and each server is one open file. */

import { readFileSync } from 'node:fs'
import type { GeneralSettings } from '../settings/schema.ts'

/** Files besides clients and servers (see docs/sizing.md): libraries, log and listening sockets, and the connections of one HTTP address. */
const OWN_FILES = 30
const HTTP_FILES = 100

/** Returns a sentence for the log if the limit is too low; null if it is high enough or unknown. */
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
  return `max_client_conn = ${max_client_conn} may need ${needed} open files, plus one for each server, but the system allows ${allowed}; raise the limit (LimitNOFILE= in systemd, ulimit -n), or clients may have to wait or be refused`
}

/** The soft limit, which Node has already raised to the hard limit. */
function allowedOpenFiles(): number {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    // Not Linux.
    return Number.POSITIVE_INFINITY
  }
}
