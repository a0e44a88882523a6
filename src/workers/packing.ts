/**
 * Packs thousands of rows for other processes into strings of some rows each. That way neither side is busy for long without a break, and a
 * process that only passes them on need not parse them. Sent as objects, 10,000 clients kept the reader of the message busy for 50 ms.
 */

import { setImmediate } from 'node:timers/promises'

/** About a millisecond of work. */
const ROWS_AT_A_TIME = 500
const LONG_ROWS_AT_A_TIME = 50

/** Packed rows of one kind. */
export type Packed<Row> = readonly string[] & { readonly row?: Row }

/** The rows must be plain data that JSON can represent. */
export function pack<Row>(rows: readonly Row[]): Promise<Packed<Row>> {
  return packBy(ROWS_AT_A_TIME, rows)
}

/** For rows that are long. */
export function packLong<Row>(rows: readonly Row[]): Promise<Packed<Row>> {
  return packBy(LONG_ROWS_AT_A_TIME, rows)
}

async function packBy<Row>(atATime: number, rows: readonly Row[]): Promise<Packed<Row>> {
  const pieces: string[] = []
  for (let start = 0; start < rows.length; start += atATime) {
    if (start > 0) await setImmediate()
    pieces.push(JSON.stringify(rows.slice(start, start + atATime)))
  }
  return pieces
}

/** Packs all rows in one go, for a process that serves no clients. */
export function packNow<Row>(rows: readonly Row[]): Packed<Row> {
  return [JSON.stringify(rows)]
}

export function unpackNow<Row>(pieces: Packed<Row>): Row[] {
  return pieces.flatMap((piece) => JSON.parse(piece) as Row[])
}

export async function unpack<Row>(pieces: Packed<Row>): Promise<Row[]> {
  const rows: Row[] = []
  for (const piece of pieces) {
    if (rows.length > 0) await setImmediate()
    for (const row of JSON.parse(piece) as Row[]) rows.push(row)
  }
  return rows
}
