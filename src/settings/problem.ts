/** Problems in the settings, as reported to the operator. They are collected, not thrown one by one. */

import type { SettingKey } from './schema.ts'

export interface Place {
  readonly file: string | null
  readonly line: number | null
}

export interface Problem extends Place {
  /** An error prevents the start or the reload. A warning says what will not work as written. */
  readonly severity: 'error' | 'warning'
  /** Never contains a password or text that could be part of one. */
  readonly sentence: string
  /** The general setting whose value is wrong. */
  readonly setting?: SettingKey
}

/** The place of values that are in no file: flags and environment variables. */
export const NOWHERE: Place = { file: null, line: null }

export function error(place: Place, sentence: string): Problem {
  return { severity: 'error', sentence, file: place.file, line: place.line }
}

export function warning(place: Place, sentence: string): Problem {
  return { severity: 'warning', sentence, file: place.file, line: place.line }
}

export function hasErrors(problems: readonly Problem[]): boolean {
  return problems.some((problem) => problem.severity === 'error')
}

/** Thrown when a start fails because of problems. Each line of the message already begins with its place, so print it without a prefix. */
export class SettingsError extends Error {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'))
    this.problems = problems
  }
}

/** Formats `pgweir.ini:12: error: …`, which editors and CI can turn into a link. */
export function formatProblem({ severity, sentence, file, line }: Problem): string {
  const place = file === null ? 'pgweir' : line === null ? file : `${file}:${line}`
  return `${place}: ${severity}: ${sentence}`
}

/** Quotes a value that may be shown, and truncates it, so that lines joined by mistake do not fill the screen. */
export function quote(value: string): string {
  return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value)
}

const MAX_SHOWN = 60
