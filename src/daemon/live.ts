/** What holds now of something that is made from the settings' files: for connections from now on. */

import type { Problem } from '../settings/problem.ts'

export class Live<Setup> {
  setup: Setup

  constructor(setup: Setup) {
    this.setup = setup
  }
}

/** What files were found to be good for. */
export interface LoadedFiles<Setup> {
  /** null if they cannot be used; why is among the problems. */
  readonly setup: Setup | null
  readonly problems: readonly Problem[]
}
