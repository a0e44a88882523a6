/** Builds what the scripted Postgres of flow tests sends, by hand, byte by byte. */

import { message } from './requests.ts'

export const authenticationOk = message('R', int32(0))
export const parseComplete = message('1')
export const bindComplete = message('2')
export const closeComplete = message('3')
export const noData = message('n')
export const emptyQuery = message('I')
export const portalSuspended = message('s')
/** The same bytes in both directions. */
export const copyDone = message('c')

export function ready(status: 'I' | 'T' | 'E' = 'I'): Buffer {
  return message('Z', Buffer.from(status))
}

export function rowDescription(...columns: readonly string[]): Buffer {
  const fields = columns.map((column) =>
    join(text(column), int32(0), int16(0), int32(25), int16(-1), int32(-1), int16(0)),
  )
  return message('T', join(int16(columns.length), ...fields))
}

export function dataRow(...cells: readonly (string | null)[]): Buffer {
  const values = cells.map((cell) => {
    if (cell === null) return int32(-1)
    const bytes = Buffer.from(cell)
    return join(int32(bytes.length), bytes)
  })
  return message('D', join(int16(cells.length), ...values))
}

export function complete(tag: string): Buffer {
  return message('C', text(tag))
}

/** A result with one column, a row for each cell, and the tag of a SELECT. */
export function rows(...cells: readonly string[]): Buffer {
  return join(rowDescription('value'), ...cells.map((cell) => dataRow(cell)), complete(`SELECT ${cells.length}`))
}

/** The replies to `batch` of requests.ts, up to ReadyForQuery. */
export function batchRows(...cells: readonly string[]): Buffer {
  return join(
    parseComplete,
    bindComplete,
    ...cells.map((cell) => dataRow(cell)),
    complete(`SELECT ${cells.length}`),
    ready(),
  )
}

export function error(
  code: string,
  words: string,
  severity: 'ERROR' | 'FATAL' = 'ERROR',
  more: Readonly<Record<string, string>> = {},
): Buffer {
  return message('E', notes({ S: severity, V: severity, C: code, M: words, ...more }))
}

export function notice(words: string, severity = 'NOTICE', more: Readonly<Record<string, string>> = {}): Buffer {
  return message('N', notes({ S: severity, V: severity, C: '00000', M: words, ...more }))
}

export function notification(channel: string, payload: string): Buffer {
  return message('A', join(int32(4711), text(channel), text(payload)))
}

export function parameterStatus(name: string, value: string): Buffer {
  return message('S', join(text(name), text(value)))
}

export function parameterDescription(...oids: readonly number[]): Buffer {
  return message('t', join(int16(oids.length), ...oids.map(int32)))
}

export function backendKeyData(pid: number, secret: Buffer): Buffer {
  return message('K', join(int32(pid), secret))
}

export function copyIn(columns = 1): Buffer {
  return message('G', copyShape(columns))
}

export function copyOut(columns = 1): Buffer {
  return message('H', copyShape(columns))
}

export function copyBoth(columns = 0): Buffer {
  return message('W', copyShape(columns))
}

/** The same bytes in both directions. */
export function copyData(data: string | Buffer): Buffer {
  return message('d', Buffer.from(data))
}

export function functionResult(value: string): Buffer {
  const bytes = Buffer.from(value)
  return message('V', join(int32(bytes.length), bytes))
}

function copyShape(columns: number): Buffer {
  return join(Buffer.of(0), int16(columns), ...Array.from({ length: columns }, () => int16(0)))
}

function notes(fields: Readonly<Record<string, string>>): Buffer {
  return join(...Object.entries(fields).map(([type, value]) => text(type + value)), Buffer.of(0))
}

export function join(...parts: readonly Buffer[]): Buffer {
  return Buffer.concat(parts)
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value | 0)
  return bytes
}

export function text(value: string): Buffer {
  return Buffer.from(`${value}\0`)
}
