/** Messages that servers send: decodes those that we must understand, and builds those with which we answer clients ourselves. */

import { HEADER_BYTES } from './frames.ts'
import { bytesFor, readReported } from './reported-text.ts'
import { Writer } from './writer.ts'

export type TransactionStatus = 'idle' | 'in-transaction' | 'failed'

export const STATUS_IDLE = 0x49
export const STATUS_IN_TRANSACTION = 0x54
export const STATUS_FAILED = 0x45

export const PARSE_COMPLETE = new Writer().begin('1').end().finish()
export const CLOSE_COMPLETE = new Writer().begin('3').end().finish()
export const BIND_COMPLETE = new Writer().begin('2').end().finish()
export const NO_DATA = new Writer().begin('n').end().finish()
export const EMPTY_QUERY = new Writer().begin('I').end().finish()
export const PORTAL_SUSPENDED = new Writer().begin('s').end().finish()
export const READY_IDLE = new Writer().begin('Z').byte(STATUS_IDLE).end().finish()
export const READY_FAILED = new Writer().begin('Z').byte(STATUS_FAILED).end().finish()
export const READY_IN_TRANSACTION = new Writer().begin('Z').byte(STATUS_IN_TRANSACTION).end().finish()

/** ReadyForQuery by the transaction status that it reports. */
export const READY_WITH: Readonly<Record<number, Buffer>> = {
  [STATUS_IDLE]: READY_IDLE,
  [STATUS_FAILED]: READY_FAILED,
  [STATUS_IN_TRANSACTION]: READY_IN_TRANSACTION,
}

export const AUTHENTICATION_OK = new Writer().begin('R').int32(0).end().finish()
export const AUTHENTICATION_CLEARTEXT = new Writer().begin('R').int32(3).end().finish()

export function encodeAuthenticationMd5(salt: Uint8Array): Buffer {
  return new Writer().begin('R').int32(5).bytes(salt).end().finish()
}

export function encodeAuthenticationSasl(mechanisms: readonly string[]): Buffer {
  const writer = new Writer().begin('R').int32(10)
  for (const mechanism of mechanisms) writer.text(mechanism)
  return writer.byte(0).end().finish()
}

export function encodeAuthenticationSaslContinue(data: Uint8Array): Buffer {
  return new Writer().begin('R').int32(11).bytes(data).end().finish()
}

export function encodeAuthenticationSaslFinal(data: Uint8Array): Buffer {
  return new Writer().begin('R').int32(12).bytes(data).end().finish()
}

/** A ParameterStatus for a client whose `client_encoding` is `encoding`; null if we cannot write the value in that encoding. */
export function encodeParameterStatus(name: string, value: string, encoding: string): Buffer | null {
  const bytes = bytesFor(value, encoding)
  return bytes && new Writer().begin('S').text(name).bytes(bytes).byte(0).end().finish()
}

export function encodeBackendKeyData(pid: number, secret: Uint8Array): Buffer {
  return new Writer().begin('K').int32(pid).bytes(secret).end().finish()
}

/** Says that we support protocol 3.0 only, and which of the client's protocol parameters (`_pq_.…`) are unknown to us. */
export function encodeNegotiateProtocolVersion(unknown: readonly string[]): Buffer {
  const writer = new Writer().begin('v').int32(0x0003_0000).int32(unknown.length)
  for (const name of unknown) writer.text(name)
  return writer.end().finish()
}

export function encodeCommandComplete(tag: string): Buffer {
  return new Writer().begin('C').text(tag).end().finish()
}

export function encodeParameterDescription(oids: readonly number[]): Buffer {
  const writer = new Writer().begin('t').int16(oids.length)
  for (const oid of oids) writer.int32(oid)
  return writer.end().finish()
}

/** Decodes a ParameterStatus; null if it is broken. The meaning of the value depends on the encoding: see `understand`. */
export function decodeParameterStatus(
  buffer: Buffer,
  start: number,
  end: number,
): { name: string; value: string } | null {
  const nameEnd = buffer.indexOf(0, start + HEADER_BYTES)
  if (nameEnd === -1 || nameEnd >= end) return null
  const valueEnd = buffer.indexOf(0, nameEnd + 1)
  if (valueEnd !== end - 1) return null
  return {
    name: buffer.toString('utf8', start + HEADER_BYTES, nameEnd),
    value: readReported(buffer, nameEnd + 1, valueEnd),
  }
}

/** Returns the tag of a whole CommandComplete. */
export function decodeCommandTag(buffer: Buffer, start: number, end: number): string {
  return buffer.toString('latin1', start + HEADER_BYTES, end - 1)
}

export const AUTHENTICATION = {
  ok: 0,
  kerberos: 2,
  cleartext: 3,
  md5: 5,
  gss: 7,
  sspi: 9,
  sasl: 10,
  saslContinue: 11,
  saslFinal: 12,
} as const

/** The SASL mechanisms that a server offers. */
export function decodeSaslMechanisms(frame: Buffer): string[] {
  return frame
    .toString('utf8', 9, frame.length)
    .split('\0')
    .filter((name) => name !== '')
}
