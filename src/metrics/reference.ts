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

These are the metrics that \`/metrics\` serves, for all processes together. [Monitoring](monitoring.md) describes how to turn it on and what to look at. Times are in seconds
and sizes in bytes. Counters and histograms start at 0 when pgweir starts and never decrease while it runs, even if settings are reloaded, workers replaced or pools removed. The
console is not counted.

The first \`metrics_max_pools\` pairs of database and user have their own series; all later pairs are counted together as \`other\`.
So is what \`auth_query\` does in a database that only unauthenticated clients have named, until a server of it has been opened.

Histograms have the buckets ${BUCKETS_MS.map((ms) => ms / 1000).join(', ')} s. Clients that ask for OpenMetrics get that format; there, the name of
a counter has no \`_total\`, only its samples do.`

const COMPATIBLE = `## With metrics_compat = pgbouncer

These metrics are served in addition, under the names of [pgbouncer_exporter](https://github.com/prometheus-community/pgbouncer_exporter). Existing dashboards and alerts
keep working, and the exporter is no longer needed. Its counts of users and DNS are left out. The console is not counted here either.`

function code(text: string): string {
  return `\`${text}\``
}

function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(headings), line(headings.map(() => '---')), ...rows.map(line)].join('\n')
}
