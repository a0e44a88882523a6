/** Metrics as text, in the formats of Prometheus and OpenMetrics, which prom-client knows. */

import { setImmediate } from 'node:timers/promises'
import { type Metric, Registry, type RegistryContentType } from 'prom-client'
import { BUCKETS_MS, type Lengths } from '../base/histogram.ts'
import type { Family, Labels, Sample } from './families.ts'
import type { Snapshot } from './snapshot.ts'

export type Format = 'prometheus' | 'openmetrics'

export const CONTENT_TYPES: Readonly<Record<Format, RegistryContentType>> = {
  prometheus: Registry.PROMETHEUS_CONTENT_TYPE,
  openmetrics: Registry.OPENMETRICS_CONTENT_TYPE,
}

/** What prom-client asks a metric for: https://github.com/siimon/prom-client */
interface Value {
  readonly metricName?: string
  readonly sharedLabels: Labels
  readonly labels?: Labels
  readonly value: number
}

/** Whoever serves clients in this process has its turn between two families. */
export async function expose(families: readonly Family[], now: Snapshot, format: Format): Promise<string> {
  const registry = new Registry<RegistryContentType>()
  registry.setContentType(CONTENT_TYPES[format])
  let turn: Promise<unknown> = Promise.resolve()
  for (const family of families) {
    const { name, type, help } = family
    turn = turn.then(() => setImmediate())
    const itsTurn = turn
    const metric = {
      ...{ name, type, help },
      async get() {
        await itsTurn
        return { name: this.name, type, help, values: valuesOf(family, family.read(now)) }
      },
    }
    // Its types know only metrics that count by themselves.
    registry.registerMetric(metric as unknown as Metric)
  }
  return registry.metrics()
}

function valuesOf({ name, type }: Family, samples: readonly Sample[]): Value[] {
  const values: Value[] = []
  for (const { of, part, value } of samples) {
    if (type === 'histogram') addHistogram(values, name, of, value as Lengths)
    else values.push({ sharedLabels: of, ...(part && { labels: part }), value: value as number })
  }
  return values
}

const LE: readonly Labels[] = [...BUCKETS_MS.map((ms) => ({ le: String(ms / 1000) })), { le: '+Inf' }]

function addHistogram(values: Value[], name: string, of: Labels, { counts, sumMs }: Lengths): void {
  const bucket = `${name}_bucket`
  let count = 0
  for (const [place, le] of LE.entries()) {
    count += counts[place] ?? 0
    values.push({ metricName: bucket, sharedLabels: of, labels: le, value: count })
  }
  values.push({ metricName: `${name}_sum`, sharedLabels: of, value: sumMs / 1000 })
  values.push({ metricName: `${name}_count`, sharedLabels: of, value: count })
}

/** What a client of HTTP would rather have, by its header Accept. */
export function formatFor(accept: string): Format {
  for (const each of preferences(accept)) {
    if (each === 'application/openmetrics-text') return 'openmetrics'
    if (each === 'text/plain' || each === '*/*' || each === 'text/*') return 'prometheus'
  }
  return 'prometheus'
}

function preferences(accept: string): string[] {
  const wishes = accept.split(',').map((wish) => {
    const [type = '', ...parameters] = wish.split(';').map((part) => part.trim().toLowerCase())
    const quality = parameters.find((parameter) => parameter.startsWith('q='))
    return { type, quality: quality === undefined ? 1 : Number(quality.slice(2)) || 0 }
  })
  return wishes
    .filter(({ quality }) => quality > 0)
    .toSorted((one, other) => other.quality - one.quality)
    .map(({ type }) => type)
}
