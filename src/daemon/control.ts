/** What the console and signals may have done in this process. */

import type { Control } from '../workers/control.ts'
import type { Applier } from './apply.ts'

export class LocalControl implements Control {
  readonly #applier: Applier

  constructor(applier: Applier) {
    this.#applier = applier
  }

  async reload(): Promise<void> {
    this.#applier.apply(this.#applier.readAgain())
  }

  async set(key: string, value: string): Promise<void> {
    this.#applier.apply(this.#applier.readSet(key, value))
  }
}
