/** What is wrong with the settings, for the operator: every finding is collected, none is thrown. */

import type { SettingKey } from './schema.ts'

export interface Place {
  readonly file: string | null
  readonly line: number | null
}

export interface Problem extends Place {
  /** An error stops the start (or the reload); a warning says what will not be as written. */
  readonly severity: 'error' | 'warning'
  /** Never holds a password, nor any text that could be a piece of one. */
  readonly sentence: string
  /** The general setting whose value it is about. */
  readonly setting?: SettingKey
}

/** For what was not written in a file: flags, the environment. */
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

/** Thrown where a start ends because of them: each has its place already, so that nothing is to be put in front. */
export class SettingsError extends Error {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'))
    this.problems = problems
  }
}

/** `pgweir.ini:12: error: …`, which editors and CI can turn into a link. */
export function formatProblem({ severity, sentence, file, line }: Problem): string {
  const place = file === null ? 'pgweir' : line === null ? file : `${file}:${line}`
  return `${place}: ${severity}: ${sentence}`
}

/** A value that may be shown, quoted, and cut so that a line glued together by mistake does not fill the screen. */
export function quote(value: string): string {
  return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value)
}

const MAX_SHOWN = 60
