/** What Linux tells about a process in /proc: its CPU time, all threads together, and its resident memory. */

import { readFileSync } from 'node:fs'

export interface CpuTime {
  readonly userMs: number
  readonly systemMs: number
}

/** The kernel shows times to programs in hundredths of a second, whatever it counts in itself (USER_HZ). */
const TICK_MS = 10

/** Fields 14 and 15 of /proc/PID/stat. The second one is the program's name, which may hold spaces and brackets. */
export function parseCpuTime(stat: string): CpuTime {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [userMs, systemMs] = [fields[11], fields[12]].map((ticks) => Number(ticks) * TICK_MS)
  if (userMs === undefined || systemMs === undefined || Number.isNaN(userMs + systemMs))
    throw new Error(`/proc/PID/stat is not as expected: ${stat}`)
  return { userMs, systemMs }
}

/** `VmRSS:   12345 kB` of /proc/PID/status. */
export function parseResidentKib(status: string): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(status)
  if (!match) throw new Error('/proc/PID/status tells no VmRSS: the process is gone')
  return Number(match[1])
}

/** `Max open files            20000                20000                files` of /proc/PID/limits: the first number is the one that holds. */
export function parseFileLimit(limits: string): number {
  const match = /^Max open files\s+(\d+|unlimited)/m.exec(limits)
  if (!match) throw new Error('/proc/PID/limits tells nothing of open files')
  return match[1] === 'unlimited' ? Infinity : Number(match[1])
}

export function cpuTimeOf(pid: number): CpuTime {
  return parseCpuTime(readFileSync(`/proc/${pid}/stat`, 'latin1'))
}

export function residentKibOf(pid: number): number {
  return parseResidentKib(readFileSync(`/proc/${pid}/status`, 'latin1'))
}

export function fileLimitOf(pid: number): number {
  return parseFileLimit(readFileSync(`/proc/${pid}/limits`, 'latin1'))
}
