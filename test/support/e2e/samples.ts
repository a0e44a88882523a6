/** The samples on a page of metrics, for tests to query. */

import { expect } from 'vitest'
import type { Pgweir } from './pgweir.ts'

export class Samples {
  readonly #values = new Map<string, number>()

  constructor(text: string) {
    for (const line of text.split('\n')) {
      const [, name, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
      if (name !== undefined) this.#values.set(keyOf(name, labels.split(/,(?=\w+=")/)), Number(value))
    }
  }

  /** Returns the value of the sample with exactly these labels; undefined if there is none. */
  of(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    const written = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
    return this.#values.get(keyOf(name, written))
  }

  /** Returns the value of a key that the iterator has returned. */
  at(key: string): number | undefined {
    return this.#values.get(key)
  }

  /** Returns how much a sample has grown since `before`. A missing sample counts as 0. */
  growth(before: Samples, name: string, labels: Readonly<Record<string, string>> = {}): number {
    return (this.of(name, labels) ?? 0) - (before.of(name, labels) ?? 0)
  }

  [Symbol.iterator](): Iterator<[string, number]> {
    return this.#values.entries()
  }
}

function keyOf(name: string, labels: readonly string[]): string {
  return `${name}{${labels
    .filter((label) => label !== '')
    .toSorted()
    .join()}}`
}

export async function scrape(pgweir: Pgweir): Promise<Samples> {
  const { status, text } = await pgweir.page('/metrics')
  if (status !== 200) throw new Error(`/metrics answers ${status}: ${text}`)
  return new Samples(text)
}

/** Fails if a counter has decreased, except for the counters of a single worker. */
export function expectNoneLess(after: Samples, before: Samples): void {
  for (const [key, value] of before)
    if (/_(total|count|sum|bucket)\{/.test(key) && !key.startsWith('pgweir_worker_'))
      expect(after.at(key), key).toBeGreaterThanOrEqual(value)
}
