/** Hot path: gives a client's bytes to the stage that can take them, keeps those that must wait, and stops reading when it keeps enough. */

import { copyBytes } from '../base/bytes.ts'
import { allocateLasting } from '../base/lasting.ts'
import type { Channel } from '../net/channel.ts'

/** Handles a client's bytes at the moment: the login, and later the handler. */
export interface Stage {
  /** Handles all that it can, and returns where it stopped: before `end` only if it has to wait for something. */
  read(buffer: Buffer, start: number, end: number): number
}

/** Takes nothing: an answer is being worked on. */
export const BUSY: Stage = { read: (_buffer, start) => start }

/** How many bytes a waiting client may send before it is no longer read. Reading on until then shows whether it is still there. */
const MAX_HELD_BYTES = 64 * 1024

/** What is held is mostly one small query. It is stored in one of these pieces, while any is free. */
const PIECE_BYTES = 512
const PIECES = 1_024
const pieces = allocateLasting(PIECES * PIECE_BYTES)
/** The first `freePieces` elements say where the free pieces begin. */
const freeAt = Int32Array.from({ length: PIECES }, (_, index) => (PIECES - 1 - index) * PIECE_BYTES)
let freePieces = PIECES

/** Why a client is not read. */
const STOPS = { 'holds-enough': 1, 'server-full': 2, 'client-full': 4, suspended: 8 } as const

/** The session. */
export interface IntakeHost {
  readonly channel: Channel
  /** Bytes given while this is false are dropped. */
  readonly isOpen: boolean
}

export class Intake {
  stage: Stage
  readonly #host: IntakeHost
  #held: Buffer | null = null
  /** Where in `#held` the held bytes begin. */
  #heldAt = 0
  #heldBytes = 0
  #stops = 0
  #isFeeding = false
  /** `goOn` was called while bytes were being fed: those that are held afterwards can be read at once. */
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

  /** Reads what is held, which may now be possible. */
  goOn(): void {
    this.#goesOn = this.#isFeeding
    if (this.#isFeeding || this.#held === null) return
    const held = this.#held
    const start = this.#heldAt
    const end = start + this.#heldBytes
    this.#held = null
    let at = end
    try {
      at = this.#feed(held, start, end)
      if (!this.#host.isOpen) at = end
    } finally {
      if (at === end) giveBack(held, start)
    }
    if (at < end) {
      if (at > start) held.copyWithin(start, at, end)
      this.#held = held
      this.#heldBytes = end - at
    }
    this.stop('holds-enough', end - at > MAX_HELD_BYTES)
  }

  /** Adds or removes a reason not to read from the client; it is read while there is no reason. */
  stop(why: keyof typeof STOPS, isOn: boolean): void {
    const before = this.#stops
    if (!isOn && before === 0) return
    this.#stops = isOn ? before | STOPS[why] : before & ~STOPS[why]
    const { channel } = this.#host
    if (this.#stops === before || !channel.isOpen) return
    if (before === 0) channel.pause()
    else if (this.#stops === 0) channel.resume()
  }

  /** Nothing more will be read. */
  drop(): void {
    if (this.#held !== null) giveBack(this.#held, this.#heldAt)
    this.#held = null
  }

  /** Feeds bytes to the current stage, and to the stages that replace it. */
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
    if (before === null) {
      this.#makeRoom(end - start)
      this.#heldBytes = 0
    } else if (this.#heldBytes + end - start > (before === pieces ? PIECE_BYTES : before.length)) {
      const beforeAt = this.#heldAt
      const needed = this.#heldBytes + end - start
      const room = this.#makeRoom(Math.max(needed, Math.min(2 * needed, MAX_HELD_BYTES)))
      copyBytes(before, beforeAt, beforeAt + this.#heldBytes, room, this.#heldAt)
      giveBack(before, beforeAt)
    }
    copyBytes(buffer, start, end, this.#held as Buffer, this.#heldAt + this.#heldBytes)
    this.#heldBytes += end - start
    if (this.#heldBytes > MAX_HELD_BYTES) this.stop('holds-enough', true)
  }

  #makeRoom(bytes: number): Buffer {
    const isSmall = bytes <= PIECE_BYTES && freePieces > 0
    const room = isSmall ? pieces : Buffer.allocUnsafeSlow(bytes)
    this.#heldAt = isSmall ? (freeAt[--freePieces] as number) : 0
    this.#held = room
    return room
  }
}

function giveBack(held: Buffer, at: number): void {
  if (held === pieces) freeAt[freePieces++] = at
}
