import { Counter, Gauge, Histogram as PromHistogram, Registry, type RegistryContentType } from 'prom-client'
import { expect, test } from 'vitest'
import { BUCKETS_MS, Histogram, lengthsOf } from '../../../src/base/histogram.ts'
import { CONTENT_TYPES, expose, type Format, formatFor } from '../../../src/metrics/exposition.ts'
import type { Family } from '../../../src/metrics/families.ts'
import type { Snapshot } from '../../../src/metrics/snapshot.ts'

const NOTHING = {} as Snapshot

async function told(families: readonly Family[], format: Format): Promise<string> {
  return (await expose(families, NOTHING, format)).toString()
}

test('a counter, a gauge and a histogram have the format of Prometheus', async () => {
  expect(await told(FAMILIES, 'prometheus')).toBe(`# HELP x_things_total Things, "all" of them.
# TYPE x_things_total counter
x_things_total{database="a\\"b\\\\c\\nd"} 12

# HELP x_level Level.
# TYPE x_level gauge
x_level{state="full",database="d"} 0.5

# HELP x_seconds Lengths.
# TYPE x_seconds histogram
${buckets('x_seconds', 'database="d"', { 0.0001: 1, 0.5: 2, 60: 2, '+Inf': 3 })}
x_seconds_sum{database="d"} 70.5000625
x_seconds_count{database="d"} 3
`)
})

test('a counter, a gauge and a histogram have the format of OpenMetrics', async () => {
  const text = await told(FAMILIES, 'openmetrics')
  expect(text).toContain('# TYPE x_things counter\nx_things_total{database="a\\"b\\\\c\\nd"} 12\n')
  expect(text.endsWith('# EOF\n')).toBe(true)
  // One request does not affect the next one.
  expect(await told(FAMILIES, 'prometheus')).toContain('# TYPE x_things_total counter')
})

test('the output is the same as prom-client’s', async () => {
  const counted = new Histogram()
  for (const ms of [0.1, 3, 3, 700, 90_000]) counted.note(ms)
  for (const format of ['prometheus', 'openmetrics'] as const) {
    const registry = new Registry<RegistryContentType>()
    registry.setContentType(CONTENT_TYPES[format])
    const labels = { database: 'a"b\\c\nd', user: 'ü' }
    const counter = new Counter({
      name: 'y_total',
      help: 'A \\ and\na line.',
      labelNames: ['database', 'user'],
      registers: [registry],
    })
    counter.inc(labels, 1234567.25)
    const gauge = new Gauge({ name: 'y_level', help: 'Level.', registers: [registry] })
    gauge.set(-0.5)
    const own = new PromHistogram({
      ...{ name: 'y_seconds', help: 'Lengths.', labelNames: ['database', 'user'], registers: [registry] },
      buckets: BUCKETS_MS.map((ms) => ms / 1000),
    })
    for (const ms of [0.1, 3, 3, 700, 90_000]) own.observe(labels, ms / 1000)
    const families: readonly Family[] = [
      {
        ...{ name: 'y_total', type: 'counter', help: 'A \\ and\na line.', labels: [] },
        read: () => [{ of: labels, value: 1234567.25 }],
      },
      { ...{ name: 'y_level', type: 'gauge', help: 'Level.', labels: [] }, read: () => [{ of: {}, value: -0.5 }] },
      {
        ...{ name: 'y_seconds', type: 'histogram', help: 'Lengths.', labels: [] },
        read: () => [{ of: labels, value: { counts: [...counted.counts], sumMs: 90_706.1 } }],
      },
    ]
    expect(await told(families, format)).toBe(await registry.metrics())
  }
})

test('names in any alphabet arrive intact, however long the page is', async () => {
  const users = Array.from({ length: 5_000 }, (_, index) => `ø${'é漢🐘'[index % 3]}🐘${index}`)
  const family: Family = {
    ...{ name: 'x_level', type: 'gauge', help: 'Größe.', labels: ['user'] },
    read: () => users.map((user, index) => ({ of: { user }, value: index })),
  }
  const lines = [
    '# HELP x_level Größe.',
    '# TYPE x_level gauge',
    ...users.map((user, index) => `x_level{user="${user}"} ${index}`),
  ]
  const text = (await expose([family], NOTHING, 'prometheus')).toString('latin1')
  // A lone surrogate is written as the replacement character.
  expect(text).toBe(Buffer.from(`${lines.join('\n')}\n`).toString('latin1'))
  // The buffer that is kept between pages adds nothing to the next one.
  expect((await told(FAMILIES, 'prometheus')).endsWith('x_seconds_count{database="d"} 3\n')).toBe(true)
})

const ACCEPTED: readonly (readonly [string, string])[] = [
  ['', 'prometheus'],
  ['*/*', 'prometheus'],
  ['text/html,application/xhtml+xml,*/*;q=0.8', 'prometheus'],
  ['application/openmetrics-text', 'openmetrics'],
  ['application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1', 'openmetrics'],
  ['application/openmetrics-text;q=0.2,text/plain;q=0.3', 'prometheus'],
  ['application/openmetrics-text;q=0, */*', 'prometheus'],
]

test.each(ACCEPTED)('a client that accepts "%s" gets the format %s', (accept, format) => {
  expect(formatFor(accept)).toBe(format)
})

function histogram(...lengths: number[]) {
  const all = new Histogram()
  for (const ms of lengths) all.note(ms)
  return lengthsOf(all)
}

/** Writes cumulative buckets; each bound that is not named repeats the count of the one before. */
function buckets(name: string, labels: string, counts: Readonly<Record<string, number>>): string {
  let count = 0
  const bounds = '0.0001 0.0002 0.0005 0.001 0.002 0.005 0.01 0.02 0.05 0.1 0.2 0.5 1 2 5 10 20 60 +Inf'.split(' ')
  return bounds
    .map((le) => {
      count = counts[le] ?? count
      return `${name}_bucket{le="${le}",${labels}} ${count}`
    })
    .join('\n')
}

const FAMILIES: readonly Family[] = [
  {
    ...{ name: 'x_things_total', type: 'counter', help: 'Things, "all" of them.', labels: ['database'] },
    read: () => [{ of: { database: 'a"b\\c\nd' }, value: 12 }],
  },
  {
    ...{ name: 'x_level', type: 'gauge', help: 'Level.', labels: ['database', 'state'] },
    read: () => [{ of: { database: 'd' }, part: { state: 'full' }, value: 0.5 }],
  },
  {
    ...{ name: 'x_seconds', type: 'histogram', help: 'Lengths.', labels: ['database'] },
    read: () => [{ of: { database: 'd' }, value: histogram(0.0625, 500, 70_000) }],
  },
]
