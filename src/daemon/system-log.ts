/** Writes lines to the system's log, `/dev/log`, in the format of the C library. https://datatracker.ietf.org/doc/html/rfc3164 */

import type { Level } from '../base/log.ts'
import { type Datagrams, openDatagrams } from '../net/datagrams.ts'
import type { GeneralSettings, SYSLOG_FACILITIES } from '../settings/schema.ts'

/** The settings that appear in every line. */
type Marks = Pick<GeneralSettings, 'syslog_facility' | 'syslog_ident'>

export interface SystemLog {
  /** Used for the lines that follow. */
  settings: Marks
  write(level: Level, text: string): void
  close(): void
}

const PATH = '/dev/log'

const FACILITIES: Record<(typeof SYSLOG_FACILITIES)[number], number> = {
  user: 1,
  daemon: 3,
  auth: 4,
  authpriv: 10,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
}

const SEVERITIES: Record<Level, number> = { error: 3, warning: 4, info: 6, debug: 7 }

/** The length that all receivers accept. */
const MAX_LINE_BYTES = 8 * 1024

/**
 * Returns null if the settings ask for no system log. Throws if datagram sockets cannot be used at all. If lines are lost, calls `tell` once,
 * and again with their number when a line is taken.
 */
export function openSystemLog(
  general: GeneralSettings,
  wallMs: () => number,
  tell: (sentence: string) => void,
  path = PATH,
): SystemLog | null {
  if (!general.syslog) return null
  /** How many lines in a row were lost. */
  let lost = 0
  const onSent = (problem: Error | null) => {
    const lostBefore = lost
    lost = problem === null ? 0 : lost + 1
    // The line that `tell` logs comes here again and may be lost, too; only the first loss is reported.
    if (lost === 1) tell(`syslog: lines cannot be sent and are lost: ${problem?.message}`)
    else if (problem === null && lostBefore > 0) tell(`syslog: ${lostBefore} lines were lost`)
  }
  let datagrams: Datagrams
  try {
    datagrams = openDatagrams(path, onSent)
  } catch (cause) {
    throw new Error(`syslog cannot be used: ${(cause as Error).message}`, { cause })
  }
  return {
    settings: general,
    write(level, text) {
      datagrams.send(systemLogLine(this.settings, wallMs(), level, text))
    },
    close: () => datagrams.close(),
  }
}

/** Formats `<30>May  1 12:00:00 pgbouncer[4711]: …` in local time. A line that stays on its machine contains no host name. */
export function systemLogLine(
  { syslog_facility, syslog_ident }: Marks,
  wallMs: number,
  level: Level,
  text: string,
): Buffer {
  const priority = FACILITIES[syslog_facility] * 8 + SEVERITIES[level]
  const at = new Date(wallMs)
  const two = (number: number) => String(number).padStart(2, '0')
  const day = `${MONTHS[at.getMonth()]} ${String(at.getDate()).padStart(2)}`
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':')
  return Buffer.from(`<${priority}>${day} ${time} ${syslog_ident}[${process.pid}]: ${text}`).subarray(0, MAX_LINE_BYTES)
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
