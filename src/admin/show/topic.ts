/** What a SHOW is made of: a table of columns, and where its rows come from. */

import type { Notice } from '../../wire/notices.ts'
import type { Cell, Column } from '../../wire/rows.ts'
import type { Answer, ConsoleContext } from '../answer.ts'

/** Name and type as in PgBouncer, what it means, and how it is got from a row. */
export type ShownColumn<Row> = readonly [name: string, type: Column['type'], meaning: string, value: (row: Row) => Cell]

export interface DescribedColumn extends Column {
  readonly meaning: string
}

/** What may follow SHOW. */
export interface Topic {
  readonly help: string
  /** null if it has no rows. */
  readonly columns: readonly DescribedColumn[] | null
  run(context: ConsoleContext): Answer | Promise<Answer>
}

export interface TopicOptions<Row> {
  readonly help: string
  readonly columns: readonly ShownColumn<Row>[]
  /** No worker is asked for it. */
  readonly asksNoWorker?: boolean
  rows(context: ConsoleContext): Iterable<Row> | Promise<Iterable<Row>>
}

export function topic<Row>({ help, columns, asksNoWorker = false, rows }: TopicOptions<Row>): Topic {
  return {
    help,
    columns: columns.map(([name, type, meaning]) => ({ name, type, meaning })),
    run: async (context) => {
      const shown = cellsOf(await rows(context), columns)
      return { notices: asksNoWorker ? [] : await missing(context), rows: shown, tag: 'SHOW' }
    },
  }
}

/** Which workers seem to hang, so that a table is without what they know. */
async function missing({ fleet }: ConsoleContext): Promise<Notice[]> {
  const silent = (await fleet.workers()).filter(({ state }) => state === 'silent')
  return silent.map(({ number, pid }) => ({
    severity: 'WARNING',
    sqlstate: '01000',
    message: `worker ${number} (pid ${pid}) does not answer: what it knows is missing`,
  }))
}

function* cellsOf<Row>(rows: Iterable<Row>, columns: readonly ShownColumn<Row>[]): Generator<Cell[]> {
  for (const row of rows) yield columns.map(([, , , value]) => value(row))
}

/** Sorted by name, as PgBouncer keeps its lists. */
export function inOrder<Row>(rows: Iterable<Row>, key: (row: Row) => string): Row[] {
  return [...rows].sort((one, other) => (key(one) < key(other) ? -1 : key(one) > key(other) ? 1 : 0))
}

/** A moment, as `2024-05-01 12:00:00 UTC`: to the second, and in the time zone of the log. */
export function moment(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

export function wholeSeconds(us: number): number {
  return Math.floor(us / 1_000_000)
}

export function microsecondsBeyond(us: number): number {
  return Math.floor(us % 1_000_000)
}

/** What stands in `ptr` and `link`; the log names clients and servers by it. */
export function pointer(id: number | null): string {
  return id === null ? '' : `0x${id.toString(16)}`
}
