/** The system's log: lines to `/dev/log` as the C library writes them there. https://datatracker.ietf.org/doc/html/rfc3164 */

import type { Level } from '../base/log.ts'
import { type Datagrams, openDatagrams } from '../net/datagrams.ts'
import type { GeneralSettings, SYSLOG_FACILITIES } from '../settings/schema.ts'

/** How lines are marked. */
type Marks = Pick<GeneralSettings, 'syslog_facility' | 'syslog_ident'>

export interface SystemLog {
  /** Of lines from now on. */
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

/** What all receivers take. */
const MAX_LINE_BYTES = 8 * 1024

/**
 * Null if the settings ask for none. Throws where it cannot be spoken to at all. That nobody takes the lines for now is told once, until
 * somebody does.
 */
export function openSystemLog(
  general: GeneralSettings,
  wallMs: () => number,
  tell: (sentence: string) => void,
  path = PATH,
): SystemLog | null {
  if (!general.syslog) return null
  /** Lines that nobody has taken since somebody did. */
  let lost = 0
  const onSent = (problem: Error | null) => {
    const lostBefore = lost
    lost = problem === null ? 0 : lost + 1
    // What is told comes here again, and must not be told of.
    if (lost === 1) tell(`syslog: lines are lost: ${problem?.message}`)
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

/** `<30>May  1 12:00:00 pgbouncer[4711]: …`, by the clock on the wall; there is no host in a line that stays on its machine. */
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
