/** Hot path: gives a client's bytes to whoever can take them, keeps what must wait, and stops reading when that is enough. */

import { copyBytes } from '../base/bytes.ts'
import type { Channel } from '../net/channel.ts'

/** Whoever understands a client's bytes at the moment. */
export interface Stage {
  /** Understands all that it can, and returns where it stopped: before `end` only if it has to wait for something. */
  read(buffer: Buffer, start: number, end: number): number
}

/** Takes nothing: an answer is being worked on. */
export const BUSY: Stage = { read: (_buffer, start) => start }

/** How much of what a client sends is kept while it waits, before it is no longer read. Reading on shows whether it is still there. */
const MAX_HELD_BYTES = 64 * 1024

/** What is held is mostly one small query, and then the memory for it is used again and again. */
const PIECE_BYTES = 512
const MAX_SPARE_PIECES = 1_024
const sparePieces: Buffer[] = []

/** Why a client is not read. */
const STOPS = { 'holds-enough': 1, 'server-full': 2, 'client-full': 4 } as const

/** Whose client it is. */
export interface IntakeHost {
  readonly channel: Channel
  /** Bytes given while this is false are dropped. */
  readonly isOpen: boolean
}

export class Intake {
  stage: Stage
  readonly #host: IntakeHost
  #held: Buffer | null = null
  /** How many bytes of `#held` there are. */
  #heldBytes = 0
  #stops = 0
  #isFeeding = false
  /** `goOn` was called while bytes were being given: what comes to be held then can be read at once. */
  #goesOn = false

  constructor(host: IntakeHost, stage: Stage) {
    this.#host = host
    this.stage = stage
  }

  take(buffer: Buffer, start: number, end: number): void {
    if (this.#held !== null) {
      this.#hold(buffer, start, end)
      return
    }
    const at = this.#feed(buffer, start, end)
    if (at < end && this.#host.isOpen) this.#hold(buffer, at, end)
    if (this.#goesOn) this.goOn()
  }

  /** What was held back can be read now. */
  goOn(): void {
    this.#goesOn = this.#isFeeding
    if (this.#isFeeding || this.#held === null) return
    const held = this.#held
    const bytes = this.#heldBytes
    this.#held = null
    const at = this.#feed(held, 0, bytes)
    const isLeft = at < bytes && this.#host.isOpen
    if (isLeft) {
      if (at > 0) held.copyWithin(0, at, bytes)
      this.#held = held
      this.#heldBytes = bytes - at
    } else giveBack(held)
    this.stop('holds-enough', isLeft && bytes - at > MAX_HELD_BYTES)
  }

  /** Stops reading for a reason, or takes the reason back; reads while there is none. */
  stop(why: keyof typeof STOPS, isOn: boolean): void {
    const before = this.#stops
    this.#stops = isOn ? before | STOPS[why] : before & ~STOPS[why]
    const { channel } = this.#host
    if (this.#stops === before || !channel.isOpen) return
    if (before === 0) channel.pause()
    else if (this.#stops === 0) channel.resume()
  }

  /** Nothing more will be read. */
  drop(): void {
    if (this.#held !== null) giveBack(this.#held)
    this.#held = null
  }

  /** Gives bytes to the stage at hand, and to those that follow from it. */
  #feed(buffer: Buffer, start: number, end: number): number {
    let at = start
    this.#isFeeding = true
    try {
      while (at < end && this.#host.isOpen) {
        const { stage } = this
        at = stage.read(buffer, at, end)
        // A stage reads all that it can: where it stopped, it has to wait.
        if (stage === this.stage) break
      }
    } finally {
      this.#isFeeding = false
    }
    return at
  }

  #hold(buffer: Buffer, start: number, end: number): void {
    const before = this.#held
    const from = before === null ? 0 : this.#heldBytes
    const bytes = from + end - start
    let held = before
    if (held === null || held.length < bytes) {
      held = takePiece(before === null ? bytes : Math.max(bytes, Math.min(2 * bytes, MAX_HELD_BYTES)))
      if (before !== null) {
        copyBytes(before, 0, from, held, 0)
        giveBack(before)
      }
      this.#held = held
    }
    copyBytes(buffer, start, end, held, from)
    this.#heldBytes = bytes
    if (bytes > MAX_HELD_BYTES) this.stop('holds-enough', true)
  }
}

function takePiece(bytes: number): Buffer {
  if (bytes > PIECE_BYTES) return Buffer.allocUnsafeSlow(bytes)
  return sparePieces.pop() ?? Buffer.allocUnsafe(PIECE_BYTES)
}

function giveBack(piece: Buffer): void {
  if (piece.length === PIECE_BYTES && sparePieces.length < MAX_SPARE_PIECES) sparePieces.push(piece)
}
