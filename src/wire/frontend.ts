/** Messages that clients send: read where we must understand them, built where we send them to a server ourselves. */

import { HEADER_BYTES } from './frames.ts'
import { Writer } from './writer.ts'

export const SYNC = new Writer().begin('S').end().finish()
export const FLUSH = new Writer().begin('H').end().finish()
export const TERMINATE = new Writer().begin('X').end().finish()

export function encodeQuery(text: string): Buffer {
  return new Writer().begin('Q').text(text).end().finish()
}

export function encodePassword(password: string): Buffer {
  return new Writer().begin('p').text(password).end().finish()
}

/** Answers AuthenticationSASL. */
export function encodeSaslInitial(mechanism: string, response: Uint8Array): Buffer {
  return new Writer().begin('p').text(mechanism).int32(response.length).bytes(response).end().finish()
}

/** Answers AuthenticationSASLContinue. */
export function encodeSaslResponse(response: Uint8Array): Buffer {
  return new Writer().begin('p').bytes(response).end().finish()
}

/** A Parse whose text and parameter types stand in `body`, as a client once sent them, under the name `name`. */
export function encodeParse(name: string, body: Uint8Array): Buffer {
  return new Writer().begin('P').text(name).bytes(body).end().finish()
}

/** A Bind of the unnamed statement to the unnamed portal, with texts as parameters. */
export function encodeBind(parameters: readonly string[]): Buffer {
  const writer = new Writer().begin('B').text('').text('').int16(0).int16(parameters.length)
  for (const parameter of parameters) {
    const bytes = Buffer.from(parameter)
    writer.int32(bytes.length).bytes(bytes)
  }
  return writer.int16(0).end().finish()
}

/** Runs the unnamed portal to its end. */
export function encodeUnnamedExecute(): Buffer {
  return new Writer().begin('E').text('').int32(0).end().finish()
}

export function encodeCloseStatement(name: string): Buffer {
  return new Writer().begin('C').byte(STATEMENT).text(name).end().finish()
}

export function encodeDescribeStatement(name: string): Buffer {
  return new Writer().begin('D').byte(STATEMENT).text(name).end().finish()
}

/** In Describe and Close: the target is a statement. */
export const STATEMENT = 0x53
/** In Describe and Close: the target is a portal. */
export const PORTAL = 0x50

/** Where the zero byte of the string at `start` is, or -1 if it does not end before `end`. */
export function textEnd(buffer: Buffer, start: number, end: number): number {
  for (let at = start; at < end; at++) if (buffer[at] === 0) return at
  return -1
}

/** In a Bind that begins at `start`: where the name of the statement begins, behind the portal's; -1 if that is not there yet. */
export function bindStatementStart(buffer: Buffer, start: number, end: number): number {
  const portalEnd = textEnd(buffer, start + HEADER_BYTES, end)
  return portalEnd === -1 ? -1 : portalEnd + 1
}

/** In a whole Bind that ends at `end`: how many result columns it names a format for; `start` is where its list of parameter formats begins. 0 if it is broken. */
export function countResultFormats(buffer: Buffer, start: number, end: number): number {
  if (start + 2 > end) return 0
  let at = start + 2 + 2 * buffer.readUInt16BE(start)
  if (at + 2 > end) return 0
  const parameters = buffer.readUInt16BE(at)
  at += 2
  for (let left = parameters; left > 0; left--) {
    if (at + 4 > end) return 0
    at += 4 + Math.max(buffer.readInt32BE(at), 0)
  }
  return at + 2 > end ? 0 : buffer.readUInt16BE(at)
}
