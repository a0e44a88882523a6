/**
 * Hot path: gathers what channels on node:net write. Node reports the events of many sockets one after another, and calls what waits for
 * `setImmediate` after the last of them.
 */

import { GatheredWrites, type Sender } from './gathered-writes.ts'

// Captured here, because tests replace the globals.
const { setImmediate } = globalThis

class NodeGathering {
  readonly #gathered = new GatheredWrites(null)
  #isScheduled = false

  /**
   * Takes over bytes to be sent when the present events are over. Returns false if there is no room for them: then the caller sends them
   * itself, after `sendGathered` if it has gathered bytes before.
   */
  gather(sender: Sender, buffer: Buffer, start: number, end: number): boolean {
    if (!this.#gathered.add(sender, buffer, start, end)) return false
    if (!this.#isScheduled) {
      this.#isScheduled = true
      setImmediate(this.#eventsOver)
    }
    return true
  }

  /** Sends at once what was gathered, for all channels. */
  sendGathered(): void {
    this.#gathered.send()
  }

  readonly #eventsOver = (): void => {
    this.#isScheduled = false
    this.#gathered.send()
  }
}

/** That of this thread. */
export const nodeGathering = new NodeGathering()
