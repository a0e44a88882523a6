/** Shows results as tables for people and as data for programs. Pure. */

import { type Column, medianOf, type Outcome, type Runs, type Scenario } from './scenario.ts'
import type { TargetName } from './targets.ts'

/** One line per target. Columns that nobody has a figure for are left out. */
export function scenarioTable({ columns }: Pick<Scenario, 'columns'>, runs: Runs): string {
  const names = [...runs.keys()]
  const shown = columns.filter((column) => names.some((name) => medianOf(column, name, runs) !== null))
  const header = ['', ...shown.map(({ title }) => title)]
  return formatTable([header, ...names.map((name) => [name, ...shown.map((column) => cell(column, name, runs))])])
}

function cell(column: Column, target: TargetName, runs: Runs): string {
  const value = medianOf(column, target, runs)
  if (value === null) return ''
  return value.toLocaleString('en', { minimumFractionDigits: column.digits, maximumFractionDigits: column.digits })
}

/** The first column is flush left, the others flush right. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  const line = (row: readonly string[]) =>
    row
      .map((text, column) => (column === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[column] ?? 0)))
      .join('  ')
  return rows.map((row) => line(row).trimEnd()).join('\n')
}

export function outcomeLine({ sentence, limit, reached, isMet }: Outcome): string {
  return `goal: ${sentence}: ${rounded(reached)}, at most ${rounded(limit)}: ${isMet ? 'reached' : 'MISSED'}`
}

function rounded(value: number): string {
  return String(Math.round(value * 100) / 100)
}
