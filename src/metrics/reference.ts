/** Generates docs/metrics.md from the table of families. */

import { BUCKETS_MS } from '../base/histogram.ts'
import { FAMILIES, type Family } from './families.ts'
import { PGBOUNCER_FAMILIES } from './pgbouncer-families.ts'

/** Returns the whole of docs/metrics.md. A test compares them; `npx vitest run test/unit/metrics/reference.test.ts -u` rewrites the file. */
export function metricsPage(): string {
  return `${[INTRODUCTION, familyTable(FAMILIES), COMPATIBLE, familyTable(PGBOUNCER_FAMILIES)].join('\n\n')}\n`
}

function familyTable(families: readonly Family[]): string {
  const rows = families.map(({ name, type, labels, help }) => [code(name), type, labels.map(code).join(', '), help])
  return table(['metric', 'type', 'labels', 'meaning'], rows)
}

const INTRODUCTION = `# Metrics

<!-- Generated from src/metrics/families.ts: change the table there, then run \`npx vitest run test/unit/metrics/reference.test.ts -u\`. -->

What \`/metrics\` tells, for all processes together; [monitoring](monitoring.md) tells how to turn it on and what to look at. Times are seconds, sizes are
bytes. Counters and histograms begin with pgweir and never go down while it runs, whatever is reloaded, replaced or dropped meanwhile. The console is not
counted.

The first \`metrics_max_pools\` pairs of database and user have series of their own; what comes after them is counted together as \`other\`.

Histograms have the buckets ${BUCKETS_MS.map((ms) => ms / 1000).join(', ')} s. In OpenMetrics, which is what a client gets that asks for it, counters are the
same with \`_total\` at the end of their samples.`

const COMPATIBLE = `## With metrics_compat = pgbouncer

These are told besides, under the names of [pgbouncer_exporter](https://github.com/prometheus-community/pgbouncer_exporter): dashboards and alerts that know them go
on, and the exporter is not needed any more. Left out are its counts of users and of DNS; the console is not
counted here either.`

function code(text: string): string {
  return `\`${text}\``
}

function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(headings), line(headings.map(() => '---')), ...rows.map(line)].join('\n')
}
