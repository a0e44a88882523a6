/** Builds the result sets of our own answers, and decodes rows for our own queries. */

import { PoolerError } from '../problems.ts'
import { encodeBinary, type ValueType } from './binary.ts'
import { HEADER_BYTES } from './frames.ts'
import { Writer } from './writer.ts'

/** https://www.postgresql.org/docs/current/catalog-pg-type.html */
export const OID = { bytea: 17, int8: 20, int4: 23, text: 25, numeric: 1700 } as const satisfies Record<
  ValueType,
  number
>

const SIZES: Readonly<Record<number, number>> = { [OID.int8]: 8, [OID.int4]: 4 }

export interface Column {
  readonly name: string
  readonly type: ValueType
}

export type Cell = string | number | bigint | null

/** Format codes: https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-FORMAT-CODES */
export const FORMAT = { text: 0, binary: 1 } as const

export type Format = keyof typeof FORMAT

/** @param formats one for each column; text where there is none */
export function encodeRowDescription(columns: readonly Column[], formats: readonly Format[] = []): Buffer {
  const writer = new Writer().begin('T').int16(columns.length)
  for (const [index, column] of columns.entries()) {
    const oid = OID[column.type]
    writer
      .text(column.name)
      .int32(0)
      .int16(0)
      .int32(oid)
      .int16(SIZES[oid] ?? -1)
      .int32(-1)
      .int16(FORMAT[formats[index] ?? 'text'])
  }
  return writer.end().finish()
}

/** @param columns needed, like `formats`, only for values in binary format */
export function encodeDataRow(
  cells: readonly Cell[],
  columns: readonly Column[] = [],
  formats: readonly Format[] = [],
): Buffer {
  const writer = new Writer().begin('D').int16(cells.length)
  for (const [index, cell] of cells.entries()) {
    if (cell === null) {
      writer.int32(-1)
      continue
    }
    const column = formats[index] === 'binary' ? columns[index] : undefined
    const bytes = column ? encodeBinary(column.type, cell) : Buffer.from(String(cell))
    writer.int32(bytes.length).bytes(bytes)
  }
  return writer.end().finish()
}

/** Returns the cells of a DataRow in text format. Throws `server-nonsense` if they do not fill it exactly. */
export function decodeDataRow(frame: Buffer): (string | null)[] {
  const cells: (string | null)[] = []
  let at = FIRST_CELL
  if (frame.length < at) throw brokenRow()
  for (let left = frame.readInt16BE(at - 2); left > 0; left--) {
    if (frame.length - at < 4) throw brokenRow()
    const length = frame.readInt32BE(at)
    at += 4
    if (length < -1 || length > frame.length - at) throw brokenRow()
    cells.push(length === -1 ? null : frame.toString('utf8', at, at + length))
    if (length > 0) at += length
  }
  if (at !== frame.length) throw brokenRow()
  return cells
}

/** The offset of the first cell, after the header and the number of cells. */
const FIRST_CELL = HEADER_BYTES + 2

function brokenRow(): PoolerError {
  return new PoolerError('server-nonsense', { reason: 'a broken DataRow' })
}

/**
 * Returns the names, types and type modifiers in a RowDescription as a string for comparison, or undefined if the message is broken. Postgres
 * compares the same to decide that a cached plan must not change its result type. Table OIDs are left out, so that a table that was dropped
 * and created again makes no difference.
 */
export function rowShape(buffer: Buffer, start: number, end: number): string | undefined {
  const columns = buffer.readInt16BE(start + HEADER_BYTES)
  let shape = ''
  let at = start + HEADER_BYTES + 2
  for (let column = 0; column < columns; column++) {
    const nameEnd = buffer.indexOf(0, at)
    if (nameEnd === -1 || nameEnd + COLUMN_BYTES >= end) return undefined
    const type = nameEnd + 1 + 6
    shape += `${buffer.toString('latin1', at, nameEnd)}\0${buffer.readInt32BE(type)}\0${buffer.readInt32BE(type + 6)}\0`
    at = nameEnd + 1 + COLUMN_BYTES
  }
  return shape
}

/** After the name: table (4), column (2), type (4), type size (2), type modifier (4), format (2). */
const COLUMN_BYTES = 18
