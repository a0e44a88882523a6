/** Messages that clients send: decodes what we must understand, and builds those that we send to servers ourselves. */

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

/** A Parse with the name `name`; `body` holds the text and the parameter types as a client sent them. */
export function encodeParse(name: string, body: Uint8Array): Buffer {
  return new Writer().begin('P').text(name).bytes(body).end().finish()
}

/** A Bind of the unnamed statement to the unnamed portal, with parameters in text format. */
export function encodeBind(parameters: readonly string[]): Buffer {
  const writer = new Writer().begin('B').text('').text('').int16(0).int16(parameters.length)
  for (const parameter of parameters) {
    const bytes = Buffer.from(parameter)
    writer.int32(bytes.length).bytes(bytes)
  }
  return writer.int16(0).end().finish()
}

/** An Execute of the unnamed portal without a limit of rows. */
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

/** Returns the position of the zero byte that ends the string at `start`, or -1 if there is none before `end`. */
export function textEnd(buffer: Buffer, start: number, end: number): number {
  for (let at = start; at < end; at++) if (buffer[at] === 0) return at
  return -1
}

/** Returns the position of the statement's name in the Bind at `start`, or -1 if the portal's name before it does not end before `end`. */
export function bindStatementStart(buffer: Buffer, start: number, end: number): number {
  const portalEnd = textEnd(buffer, start + HEADER_BYTES, end)
  return portalEnd === -1 ? -1 : portalEnd + 1
}

/**
 * Returns the number of result columns for which a whole Bind gives a format; 0 if it is broken. `start` is where its list of parameter
 * formats begins, `end` where the Bind ends.
 */
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
