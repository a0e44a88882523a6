/** The queries in deploy/ use only metrics and labels that /metrics has. */

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { FAMILIES, type Family } from '../../../src/metrics/families.ts'

interface Query {
  readonly where: string
  readonly expr: string
}

interface Rule {
  readonly alert: string
  readonly expr: string
}

interface Panel {
  readonly title: string
  readonly targets?: readonly { readonly expr: string }[]
}

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8')
const RULES: readonly Rule[] = parse(read('deploy/prometheus/alerts.yaml')).groups[0].rules
const DASHBOARD = JSON.parse(read('deploy/grafana/dashboards/pgweir.json'))
const PANELS: readonly Panel[] = DASHBOARD.panels
const QUERIES: readonly Query[] = [
  ...RULES.map(({ alert, expr }) => ({ where: alert, expr })),
  ...PANELS.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ where: title, expr }))),
  ...DASHBOARD.templating.list.flatMap(({ name, definition }: { name: string; definition?: string }) =>
    definition === undefined ? [] : [{ where: `variable ${name}`, expr: definition }],
  ),
]
/** Labels that Prometheus adds. */
const ADDED = ['instance', 'job']

const SAMPLES = new Map<string, Family>(
  FAMILIES.flatMap((family): (readonly [string, Family])[] =>
    family.type === 'histogram'
      ? ['bucket', 'sum', 'count'].map((end) => [`${family.name}_${end}`, family] as const)
      : [[family.name, family] as const],
  ),
)

test('the alerts and dashboard queries were found', () => {
  expect(RULES.length).toBeGreaterThan(10)
  expect(QUERIES.length).toBeGreaterThan(60)
})

test.each(QUERIES)('the metrics and labels of $where exist: $expr', ({ expr }) => {
  const names = [...expr.matchAll(/\bpgweir_[a-z0-9_]+/g)].map(([name]) => name)
  const families = names.map((name) => SAMPLES.get(name))
  expect(names.filter((name) => !SAMPLES.has(name))).toEqual([])
  const known = new Set([...ADDED, ...families.flatMap((family) => labelsOf(family))])
  const asked = [
    ...[...expr.matchAll(/\bpgweir_[a-z0-9_]+\{([^}]*)\}/g)].flatMap(([, labels = '']) => labelsIn(labels)),
    ...[...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, labels = '']) => labels.split(/,\s*/)),
  ]
  expect(asked.filter((label) => !known.has(label))).toEqual([])
  // Only the growth of a counter is meaningful.
  for (const [index, name] of names.entries())
    if (families[index]?.type !== 'gauge') expect(expr).toMatch(new RegExp(`(rate|increase)\\(${name}\\b`))
})

function labelsOf(family: Family | undefined): readonly string[] {
  return [...(family?.labels ?? []), ...(family?.type === 'histogram' ? ['le'] : [])]
}

function labelsIn(matchers: string): string[] {
  return [...matchers.matchAll(/(\w+)(?:=~|!~|!=|=)/g)].map(([, label = '']) => label)
}

test('each alert has a summary and a severity, and is in docs/monitoring.md', () => {
  const docs = read('docs/monitoring.md')
  for (const rule of parse(read('deploy/prometheus/alerts.yaml')).groups[0].rules) {
    expect(rule.annotations.summary, rule.alert).toBeTruthy()
    expect(['warning', 'critical'], rule.alert).toContain(rule.labels.severity)
    expect(docs).toContain(`\`${rule.alert}\``)
  }
})

test('promtool’s tests fire each alert once and keep each quiet once', () => {
  const { tests } = parse(read('test/clients/prometheus/alerts.test.yaml'))
  const tried = (isFired: boolean) =>
    tests.flatMap(({ alert_rule_test: tries }: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }) =>
      tries.filter(({ exp_alerts }) => exp_alerts.length > 0 === isFired).map(({ alertname }) => alertname),
    )
  const names = RULES.map(({ alert }) => alert).toSorted()
  expect([...new Set(tried(true))].toSorted()).toEqual(names)
  expect([...new Set(tried(false))].toSorted()).toEqual(names)
})
