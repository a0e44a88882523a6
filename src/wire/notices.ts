/** ErrorResponse and NoticeResponse: https://www.postgresql.org/docs/current/protocol-error-fields.html */

import { HEADER_BYTES } from './frames.ts'
import { Writer } from './writer.ts'

export interface Notice {
  readonly severity: 'ERROR' | 'FATAL' | 'PANIC' | 'WARNING' | 'NOTICE' | 'INFO' | 'LOG' | 'DEBUG'
  readonly sqlstate: string
  readonly message: string
  readonly detail?: string | undefined
  readonly hint?: string | undefined
  /** The position in the query, in characters. */
  readonly position?: string | undefined
  /** The function in the server's code that reported it; it does not depend on the language of the messages. */
  readonly routine?: string | undefined
}

export function encodeError(error: Notice): Buffer {
  return encode('E', error)
}

export function encodeNotice(notice: Notice): Buffer {
  return encode('N', notice)
}

function encode(type: string, notice: Notice): Buffer {
  const writer = new Writer().begin(type)
  field(writer, 'S', notice.severity)
  field(writer, 'V', notice.severity)
  field(writer, 'C', notice.sqlstate)
  field(writer, 'M', notice.message)
  field(writer, 'D', notice.detail)
  field(writer, 'H', notice.hint)
  field(writer, 'R', notice.routine)
  return writer.byte(0).end().finish()
}

function field(writer: Writer, type: string, value: string | undefined): void {
  if (value !== undefined) writer.byte(type.charCodeAt(0)).text(value)
}

/** Decodes a whole ErrorResponse or NoticeResponse. Severity, SQLSTATE and message get a neutral value if the server omits them. */
export function decodeNotice(buffer: Buffer, start: number, end: number): Notice {
  const fields = new Map<string, string>()
  let at = start + HEADER_BYTES
  while (at < end && buffer[at] !== 0) {
    const valueEnd = buffer.indexOf(0, at + 1)
    if (valueEnd === -1 || valueEnd >= end) break
    fields.set(String.fromCharCode(buffer[at] as number), buffer.toString('utf8', at + 1, valueEnd))
    at = valueEnd + 1
  }
  return {
    severity: (fields.get('V') ?? fields.get('S') ?? 'ERROR') as Notice['severity'],
    sqlstate: fields.get('C') ?? 'XX000',
    message: fields.get('M') ?? '(the server gave no message)',
    detail: fields.get('D'),
    hint: fields.get('H'),
    position: fields.get('P'),
    routine: fields.get('R'),
  }
}

/** Returns the notice with the severity FATAL. Copies field by field, since a spread would omit an Error's message. */
export function asFatal(notice: Notice): Notice {
  const { severity, sqlstate, message, detail, hint, routine } = notice
  // A PoolerError stays as it is, with the details that only the log shows.
  if (severity === 'FATAL' && routine === undefined) return notice
  return { severity: 'FATAL', sqlstate, message, detail, hint }
}

/** Whether the connection ends with this error. */
export function isFatal(severity: Notice['severity']): boolean {
  return severity === 'FATAL' || severity === 'PANIC'
}
