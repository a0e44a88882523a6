/** Reads from /proc on Linux the CPU time and the resident memory of a process and its descendants. */

import { readdirSync, readFileSync } from 'node:fs'

export interface CpuTime {
  readonly userMs: number
  readonly systemMs: number
}

/** The kernel reports times in hundredths of a second, whatever its internal resolution (USER_HZ). */
const TICK_MS = 10

/**
 * Parses fields 14 and 15 of /proc/PID/stat, and 16 and 17 for children that have ended. The second field is the program's name, which may
 * contain spaces and parentheses.
 */
export function parseCpuTime(stat: string): CpuTime {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [user = Number.NaN, system = Number.NaN, endedUser = Number.NaN, endedSystem = Number.NaN] = fields
    .slice(11, 15)
    .map((ticks) => Number(ticks) * TICK_MS)
  const [userMs, systemMs] = [user + endedUser, system + endedSystem]
  if (Number.isNaN(userMs + systemMs)) throw new Error(`/proc/PID/stat is not as expected: ${stat}`)
  return { userMs, systemMs }
}

/** `VmRSS:   12345 kB` of /proc/PID/status. */
export function parseResidentKib(status: string): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(status)
  if (!match) throw new Error('/proc/PID/status tells no VmRSS: the process is gone')
  return Number(match[1])
}

/** `Max open files            20000                20000                files` in /proc/PID/limits: the first number is the one in effect. */
export function parseFileLimit(limits: string): number {
  const match = /^Max open files\s+(\d+|unlimited)/m.exec(limits)
  if (!match) throw new Error('/proc/PID/limits tells nothing of open files')
  return match[1] === 'unlimited' ? Infinity : Number(match[1])
}

/** Returns the CPU time of a process and its descendants, including those that have ended. */
export function cpuTimeOf(pid: number): CpuTime {
  const times = ofFamily(pid, (member) => parseCpuTime(readFileSync(`/proc/${member}/stat`, 'latin1')))
  return { userMs: sum(times.map(({ userMs }) => userMs)), systemMs: sum(times.map(({ systemMs }) => systemMs)) }
}

/** Returns the resident memory of a process and its descendants. Pages that several of them share count for each. */
export function residentKibOf(pid: number): number {
  return sum(ofFamily(pid, (member) => parseResidentKib(readFileSync(`/proc/${member}/status`, 'latin1'))))
}

export function fileLimitOf(pid: number): number {
  return parseFileLimit(readFileSync(`/proc/${pid}/limits`, 'latin1'))
}

/** Returns the process itself and its descendants. */
export function familyOf(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(familyOf)]
}

function ofFamily<T>(pid: number, figureOf: (member: number) => T): T[] {
  return familyOf(pid).flatMap((member) => {
    try {
      return [figureOf(member)]
    } catch (problem) {
      // A child may end at any moment. The CPU time that it used counts for its parent from then on.
      if (member === pid) throw problem
      return []
    }
  })
}

/** The children of a process are listed per thread. */
function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      numbersIn(readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1')),
    )
  } catch {
    // The process has ended.
    return []
  }
}

function numbersIn(text: string): number[] {
  return text.split(' ').filter(Boolean).map(Number)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
