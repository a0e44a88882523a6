/**
 * Rows by the thousand on their way between processes, as texts of some rows each: neither side does nothing else for long, and who only
 * passes them on need not look into them. Sent as they are, 10,000 clients took 50 ms of whoever read the message.
 */

import { setImmediate } from 'node:timers/promises'

/** About a millisecond's work. */
const ROWS_AT_A_TIME = 500
const LONG_ROWS_AT_A_TIME = 50

/** What was packed of rows of this kind. */
export type Packed<Row> = readonly string[] & { readonly row?: Row }

/** The rows must be plain data, as JSON knows it. */
export function pack<Row>(rows: readonly Row[]): Promise<Packed<Row>> {
  return packBy(ROWS_AT_A_TIME, rows)
}

/** Of rows that are long. */
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

/** All at one time, for whoever serves no clients. */
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
