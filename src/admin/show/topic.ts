/** The building blocks of a SHOW: a table of columns and the source of its rows. */

import type { Notice } from '../../wire/notices.ts'
import type { Cell, Column } from '../../wire/rows.ts'
import type { Answer, ConsoleContext } from '../answer.ts'

/** Name and type as in PgBouncer, the meaning, and a function that returns the cell of a row. */
export type ShownColumn<Row> = readonly [name: string, type: Column['type'], meaning: string, value: (row: Row) => Cell]

export interface DescribedColumn extends Column {
  readonly meaning: string
}

/** A table that SHOW can display. */
export interface Topic {
  readonly help: string
  /** null if the topic returns no rows. */
  readonly columns: readonly DescribedColumn[] | null
  run(context: ConsoleContext): Answer | Promise<Answer>
}

export interface TopicOptions<Row> {
  readonly help: string
  readonly columns: readonly ShownColumn<Row>[]
  /** The rows need no answers from workers, so a silent worker causes no warning. */
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

/** Warnings about workers that do not answer, because their rows are missing from the table. */
async function missing({ fleet }: ConsoleContext): Promise<Notice[]> {
  const silent = (await fleet.workers()).filter(({ state }) => state === 'silent')
  return silent.map(({ number, pid }) => ({
    severity: 'WARNING',
    sqlstate: '01000',
    message: `worker ${number} (pid ${pid}) does not answer: its data is missing`,
  }))
}

function* cellsOf<Row>(rows: Iterable<Row>, columns: readonly ShownColumn<Row>[]): Generator<Cell[]> {
  for (const row of rows) yield columns.map(([, , , value]) => value(row))
}

/** Sorts rows by a key, as PgBouncer sorts its lists by name. */
export function inOrder<Row>(rows: Iterable<Row>, key: (row: Row) => string): Row[] {
  return [...rows].sort((one, other) => (key(one) < key(other) ? -1 : key(one) > key(other) ? 1 : 0))
}

/** Formats a time as `2024-05-01 12:00:00 UTC`, in the time zone of the log. */
export function moment(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

export function wholeSeconds(us: number): number {
  return Math.floor(us / 1_000_000)
}

export function microsecondsBeyond(us: number): number {
  return Math.floor(us % 1_000_000)
}

/** The value of the columns `ptr` and `link`. The log names clients and servers in the same way. */
export function pointer(id: number | null): string {
  return id === null ? '' : `0x${id.toString(16)}`
}
