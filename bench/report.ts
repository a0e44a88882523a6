/** Shows results as tables for people. Pure. */

import { type Change, MEASURE_TITLES } from './guard.ts'
import { type Column, medianOf, type Outcome, type Runs, type Scenario } from './scenario.ts'
import type { TargetName } from './targets.ts'

/** One line per target. Columns for which no target has a figure are left out. */
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

/** The first column is aligned left, the others right. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  const line = (row: readonly string[]) =>
    row
      .map((text, column) => (column === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[column] ?? 0)))
      .join('  ')
  return rows.map((row) => line(row).trimEnd()).join('\n')
}

export function outcomeLine(outcome: Outcome): string {
  const { sentence, verdict } = outcome
  return `goal: ${sentence}: ${reachedText(outcome)}, ${limitText(outcome)}: ${shout(verdict)}`
}

/** All goals at a glance. */
export function goalTable(
  results: readonly { readonly name: string; readonly outcomes: readonly Outcome[] }[],
): string {
  const rows = results.flatMap(({ name, outcomes }) =>
    outcomes.map((outcome) => [
      `${name}: ${outcome.sentence}`,
      reachedText(outcome),
      limitText(outcome),
      shout(outcome.verdict),
    ]),
  )
  return formatTable([['goal', 'reached', 'asked for', ''], ...rows])
}

function reachedText({ reached }: Outcome): string {
  return reached === null ? '-' : rounded(reached)
}

function limitText({ bound, limit, stretch }: Outcome): string {
  return `${bound} ${rounded(limit)}${stretch === null ? '' : ` (stretch ${rounded(stretch)})`}`
}

function shout(verdict: Outcome['verdict']): string {
  return verdict === 'missed' ? 'MISSED' : verdict
}

/** What became slower and by how much, and everything else. */
export function changeTable(changes: readonly Change[]): string {
  const rows = changes.map(({ scenario, measure, before, now, growth, verdict }) => [
    `${scenario}: ${MEASURE_TITLES[measure]}`,
    before.toLocaleString('en'),
    now.toLocaleString('en'),
    `${growth < 0 ? '−' : '+'}${Math.abs(growth * 100).toFixed(1)} %`,
    verdict === 'slower' ? 'SLOWER' : verdict,
  ])
  return formatTable([['per transaction', 'before', 'now', 'change', ''], ...rows])
}

function rounded(value: number): string {
  return String(Math.round(value * 100) / 100)
}
