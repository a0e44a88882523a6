/**
 * Hot path: records the requests of a batch until the server's first answer. If that answer says that the plan is out of date or the
 * statement unknown, nothing of the batch has happened yet, and it can be sent again.
 */

import { MAX_RECORDING_BYTES } from '../wire/limits.ts'
import type { Effect } from './ledger.ts'

/** `open` while the batch may go on; `complete` once its Sync was added. */
type RecordingState = 'off' | 'open' | 'complete'

/** A larger buffer is freed when the recording ends. */
const MAX_IDLE_BYTES = 8 * 1024

const NOTHING = Buffer.alloc(0)

/** Marks the first debt if it has no other effect. */
const MARK: Effect = { reply: null, undo: () => {} }

export class Recording {
  #state: RecordingState = 'off'
  /** The effect of the first request's debt: while that is the ledger's first debt, nothing has been answered. */
  #first: Effect | null = null
  /** The span that was added last. It is not copied yet, since the next one may be adjacent and extend it. */
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

  /** Begins to record a batch. Returns the effect that the debt of its first request must have. */
  begin(first: Effect = MARK): Effect {
    this.stop()
    this.#state = 'open'
    this.#first = first
    return first
  }

  /**
   * Whether the next reply answers the first request of the batch.
   *
   * @param effect that of the ledger's first debt
   */
  isAtFirst(effect: Effect | null): boolean {
    return this.#state !== 'off' && effect !== null && effect === this.#first
  }

  /** Adds a part of the batch. The buffer must stay valid until `settle`. */
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

  /** The Sync of the batch was added last. */
  complete(): void {
    if (this.#state === 'open') this.#state = 'complete'
  }

  /** Copies what was added, because its buffer is about to become invalid. */
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

  /** Ends the recording and returns the batch as it was sent. The result is valid until the next `begin`. */
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
