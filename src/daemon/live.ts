/** Holds the current version of something that is loaded from files, such as TLS keys. A reload replaces it for new connections. */

import { formatProblem, type Problem, SettingsError } from '../settings/problem.ts'

export class Live<Setup> {
  setup: Setup

  constructor(setup: Setup) {
    this.setup = setup
  }
}

/** The result of loading files. */
export interface LoadedFiles<Setup> {
  /** null if the files cannot be used; `problems` says why. */
  readonly setup: Setup | null
  readonly problems: readonly Problem[]
}

/** For the start. Throws `SettingsError` if the files cannot be used; otherwise all their problems are warnings, which `onWarning` receives. */
export function openLive<Setup>(
  { setup, problems }: LoadedFiles<Setup>,
  onWarning: (sentence: string) => void,
): Live<Setup> {
  if (setup === null) throw new SettingsError(problems)
  for (const problem of problems) onWarning(formatProblem(problem))
  return new Live(setup)
}
