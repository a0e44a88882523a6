/** Holds the current version of something that is loaded from files, such as TLS keys. A reload replaces it for new connections. */

import type { Problem } from '../settings/problem.ts'

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
