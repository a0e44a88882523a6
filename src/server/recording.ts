/**
 * Hot path: the requests of a batch, kept until the server has given its first answer: if that is that the plan it was asked to run is
 * out of date, nothing has happened yet, and the batch can be sent again.
 */

import { MAX_RECORDING_BYTES } from '../wire/limits.ts'
import type { Effect } from './ledger.ts'

/** `open` while the batch may go on, `complete` with its Sync. */
type RecordingState = 'off' | 'open' | 'complete'

/** What is larger is given back. */
const MAX_IDLE_BYTES = 8 * 1024

const NOTHING = Buffer.alloc(0)

/** Hangs on a debt for which there is nothing else to do. */
const MARK: Effect = { reply: null, undo: () => {} }

export class Recording {
  #state: RecordingState = 'off'
  /** Hangs on the debt for the first request: as long as that is the first debt, nothing has been answered. */
  #first: Effect | null = null
  /** A span that was added last and is not copied yet, since what comes next may follow it. */
  #span: Buffer = NOTHING
  #spanStart = 0
  #spanEnd = 0
  #copy: Buffer = NOTHING
  #copied = 0

  get state(): RecordingState {
    return this.#state
  }

  get isOn(): boolean {
    return this.#state !== 'off'
  }

  /** A batch begins. Returns what must hang on the debt for its first request. */
  begin(first: Effect = MARK): Effect {
    this.stop()
    this.#state = 'open'
    this.#first = first
    return first
  }

  /** The answer to the first request is what comes next: the effect is that of the first debt. */
  isAtFirst(effect: Effect | null): boolean {
    return this.#state !== 'off' && effect !== null && effect === this.#first
  }

  /** More of the batch, valid until `settle`. */
  add(buffer: Buffer, start: number, end: number): void {
    if (this.#span === buffer && this.#spanEnd === start) this.#spanEnd = end
    else {
      this.settle()
      if (this.#state === 'off') return
      this.#span = buffer
      this.#spanStart = start
      this.#spanEnd = end
    }
    if (this.#copied + this.#spanEnd - this.#spanStart > MAX_RECORDING_BYTES) this.stop()
  }

  /** Its Sync was the last that was added. */
  complete(): void {
    if (this.#state === 'open') this.#state = 'complete'
  }

  /** What was added is about to become invalid. */
  settle(): void {
    if (this.#span === NOTHING) return
    const length = this.#spanEnd - this.#spanStart
    const needed = this.#copied + length
    if (this.#copy.length < needed) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(2 * needed, MAX_RECORDING_BYTES), 256))
      this.#copy.copy(grown, 0, 0, this.#copied)
      this.#copy = grown
    }
    this.#span.copy(this.#copy, this.#copied, this.#spanStart, this.#spanEnd)
    this.#copied = needed
    this.#span = NOTHING
  }

  /** The batch as it was sent, and the end of the recording. Valid until another one begins. */
  take(): Buffer {
    this.settle()
    const requests = this.#copy.subarray(0, this.#copied)
    this.stop()
    return requests
  }

  stop(): void {
    this.#state = 'off'
    this.#first = null
    this.#span = NOTHING
    this.#copied = 0
    if (this.#copy.length > MAX_IDLE_BYTES) this.#copy = NOTHING
  }
}
