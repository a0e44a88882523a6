/** Result sets that we answer ourselves, in text format. */

import { Writer } from './writer.ts'

/** https://www.postgresql.org/docs/current/catalog-pg-type.html */
export const OID = { bytea: 17, int8: 20, int4: 23, text: 25, numeric: 1700 } as const

const SIZES: Readonly<Record<number, number>> = { [OID.int8]: 8, [OID.int4]: 4 }

export interface Column {
  readonly name: string
  readonly type: keyof typeof OID
}

export type Cell = string | number | bigint | null

export function encodeRowDescription(columns: readonly Column[]): Buffer {
  const writer = new Writer().begin('T').int16(columns.length)
  for (const column of columns) {
    const oid = OID[column.type]
    writer
      .text(column.name)
      .int32(0)
      .int16(0)
      .int32(oid)
      .int16(SIZES[oid] ?? -1)
      .int32(-1)
      .int16(0)
  }
  return writer.end().finish()
}

export function encodeDataRow(cells: readonly Cell[]): Buffer {
  const writer = new Writer().begin('D').int16(cells.length)
  for (const cell of cells) {
    if (cell === null) {
      writer.int32(-1)
      continue
    }
    const bytes = Buffer.from(String(cell))
    writer.int32(bytes.length).bytes(bytes)
  }
  return writer.end().finish()
}

/** The cells of a DataRow in text format. */
export function decodeDataRow(frame: Buffer): (string | null)[] {
  const cells: (string | null)[] = []
  let at = 7
  for (let left = frame.readInt16BE(5); left > 0; left--) {
    const length = frame.readInt32BE(at)
    at += 4
    cells.push(length === -1 ? null : frame.toString('utf8', at, at + length))
    if (length > 0) at += length
  }
  return cells
}
