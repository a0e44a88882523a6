/**
 * Hot path: gathers what channels on node:net write. Node reports the events of many sockets one after another, and calls what waits for
 * `setImmediate` after the last of them. With few sockets at work, that call costs more than it saves, so it is then tried only now and then.
 */

import { GatheredWrites, type Sender } from './gathered-writes.ts'

/** Gathering is worth its cost from so many channels on. */
const MANY = 4

/** After so many gatherings in a row of fewer channels than that, writes are not gathered for a while. */
const PATIENCE = 8

/** The number of writes in that while. */
const UNGATHERED_WRITES = 256

// Captured here, because tests replace the globals.
const { setImmediate } = globalThis

class NodeGathering {
  readonly #gathered = new GatheredWrites(null)
  #isScheduled = false
  /** How many channels have gathered bytes since the last events were over. */
  #channels = 0
  /** How many gatherings in a row were of few channels. */
  #small = 0
  /** So many of the next writes are not gathered. */
  #ungathered = 0

  /**
   * Takes over bytes to be sent when the present events are over. Returns false if the caller should send them itself, after `sendGathered`
   * if it has gathered bytes before.
   */
  gather(sender: Sender, buffer: Buffer, start: number, end: number): boolean {
    if (this.#ungathered > 0) {
      this.#ungathered--
      return false
    }
    if (sender.gatheredAt === -1) this.#channels++
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

  /** Has the next writes gathered, whatever was before. For tests. */
  beginAnew(): void {
    this.#small = 0
    this.#ungathered = 0
  }

  readonly #eventsOver = (): void => {
    this.#isScheduled = false
    if (this.#channels >= MANY) this.#small = 0
    else if (++this.#small === PATIENCE) {
      this.#small = 0
      this.#ungathered = UNGATHERED_WRITES
    }
    this.#channels = 0
    this.#gathered.send()
  }
}

/** That of this thread. */
export const nodeGathering = new NodeGathering()
