/** Hot path: passes a client's message on with a statement's shared name in place of the client's. */

import { HEADER_BYTES } from '../wire/frames.ts'
import { STATEMENT } from '../wire/frontend.ts'
import type { Outbox } from '../wire/outbox.ts'
import { FRONTEND } from '../wire/types.ts'

/**
 * Passes on a Bind of `length` bytes, of which those from `start` to `end` are there; the rest follows as it comes. The client's name of
 * the statement is in bytes `nameStart` to `nameEnd`.
 */
export function sendBind(
  toServer: Outbox,
  sharedName: Buffer,
  buffer: Buffer,
  start: number,
  end: number,
  length: number,
  nameStart: number,
  nameEnd: number,
): void {
  toServer.byte(FRONTEND.bind)
  // The length in a message does not count its type.
  toServer.int32(length - 1 - (nameEnd - nameStart) + sharedName.length)
  toServer.addCopy(buffer, start + HEADER_BYTES, nameStart)
  toServer.addCopy(sharedName, 0, sharedName.length)
  toServer.add(buffer, nameEnd, end)
}

/** Sends a Describe of the statement. */
export function sendDescribe(toServer: Outbox, sharedName: Buffer): void {
  toServer.byte(FRONTEND.describe)
  // The length itself, the kind of target, and the zero behind the name.
  toServer.int32(4 + 1 + sharedName.length + 1)
  toServer.byte(STATEMENT)
  toServer.addCopy(sharedName, 0, sharedName.length)
  toServer.byte(0)
}
