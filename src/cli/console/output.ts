/** Formats the console's answers as text: a table as psql draws it, one column per line, or JSON. Pure. */

import { escapedControls, linesWithoutControls, withoutControls } from '../../base/control-characters.ts'
import { padEndToWidth, padStartToWidth, textWidth } from '../../base/text-width.ts'

/** The result of a statement. */
export interface Result {
  readonly columns: readonly Column[]
  readonly rows: readonly (readonly (string | null)[])[]
  /** Such as `SHOW` or `RELOAD`. */
  readonly tag: string
}

export interface Column {
  readonly name: string
  readonly isNumber: boolean
}

export type Layout = 'table' | 'expanded' | 'json'

/** Returns text with a newline at its end. */
export function formatResult(result: Result, layout: Layout): string {
  if (layout === 'json') return `${escapedControls(JSON.stringify(objectsOf(result)))}\n`
  if (result.columns.length === 0) return `${result.tag}\n`
  // Clients choose the names, and some of them have not logged in.
  const rows = result.rows.map((row) => row.map((text) => text && withoutControls(text)))
  return layout === 'expanded' ? expanded({ ...result, rows }) : table({ ...result, rows })
}

function objectsOf({ columns, rows }: Result): Record<string, string | number | null>[] {
  return rows.map((row) =>
    Object.fromEntries(columns.map((column, index) => [column.name, jsonOf(row[index] ?? null, column)])),
  )
}

/** Leaves a number as text if JavaScript, and with it many a reader of JSON, would change it. */
function jsonOf(text: string | null, { isNumber }: Column): string | number | null {
  if (text === null || !isNumber) return text
  const value = Number(text)
  const isSame =
    text.trim() !== '' && (Number.isSafeInteger(value) || (Number.isFinite(value) && String(value) === text))
  return isSame ? value : text
}

function table({ columns, rows }: Result): string {
  const widths = columns.map(({ name }, index) =>
    rows.reduce((width, row) => Math.max(width, textWidth(row[index] ?? '')), name.length),
  )
  const line = (cells: readonly string[]) => cells.join(' | ').trimEnd()
  const cell = (text: string, index: number) => {
    const width = widths[index] ?? 0
    return columns[index]?.isNumber ? padStartToWidth(text, width) : padEndToWidth(text, width)
  }
  return `${[
    ` ${line(columns.map(({ name }, index) => name.padEnd(widths[index] ?? 0)))}`,
    widths.map((width) => '-'.repeat(width + 2)).join('+'),
    ...rows.map((row) => ` ${line(columns.map((_, index) => cell(row[index] ?? '', index)))}`),
    `(${rows.length} row${rows.length === 1 ? '' : 's'})`,
  ].join('\n')}\n`
}

function expanded({ columns, rows }: Result): string {
  const width = Math.max(...columns.map(({ name }) => name.length))
  const records = rows.map((row, number) =>
    [
      `-[ ${number + 1} ]`.padEnd(width + 3, '-'),
      ...columns.map(({ name }, index) => `${name.padEnd(width)} | ${row[index] ?? ''}`.trimEnd()),
    ].join('\n'),
  )
  return records.length === 0 ? '(0 rows)\n' : `${records.join('\n')}\n`
}

/** Formats a notice or an error as psql does. */
export function formatNotice({ severity = 'NOTICE', message = '', detail, hint }: Told): string {
  const more = [detail && `DETAIL:  ${detail}`, hint && `HINT:  ${hint}`].filter((line) => line)
  return `${linesWithoutControls([`${severity}:  ${message}`, ...more].join('\n'))}\n`
}

export interface Told {
  readonly severity?: string | undefined
  readonly message?: string | undefined
  readonly detail?: string | undefined
  readonly hint?: string | undefined
}
