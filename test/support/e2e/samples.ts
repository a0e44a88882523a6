/** The samples of a page of metrics, as a test asks for them. */

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

  /** Of the sample with just these labels; undefined if there is none. */
  of(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    const written = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
    return this.#values.get(keyOf(name, written))
  }

  /** As iterated over. */
  at(key: string): number | undefined {
    return this.#values.get(key)
  }

  /** How much it was over `before`; what was not there was 0. */
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

/** Fails if a counter has gone down, but for those of one process. */
export function expectNoneLess(after: Samples, before: Samples): void {
  for (const [key, value] of before)
    if (/_(total|count|sum|bucket)\{/.test(key) && !key.startsWith('pgweir_worker_'))
      expect(after.at(key), key).toBeGreaterThanOrEqual(value)
}
