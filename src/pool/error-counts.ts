/** Errors that clients have received, by source and SQLSTATE. Queries can raise any code, so only the first MAX_TOLD_APART are counted separately. */

/** Whose error it is: PostgreSQL's own, passed on, or the pooler's. */
export type ErrorSource = 'postgresql' | 'pgweir'

/** Counts by `keyOf` of source and SQLSTATE. */
export type ErrorTotals = Readonly<Record<string, number>>

const MAX_TOLD_APART = 64

const OTHERS = 'other'

export class ErrorCounts {
  readonly #counts = new Map<string, number>()

  note(source: ErrorSource, sqlstate: string): void {
    const key = keyOf(source, sqlstate)
    const isKnown = this.#counts.has(key) || this.#counts.size < MAX_TOLD_APART
    const counted = isKnown ? key : keyOf(source, OTHERS)
    this.#counts.set(counted, (this.#counts.get(counted) ?? 0) + 1)
  }

  totals(): ErrorTotals {
    return Object.fromEntries(this.#counts)
  }
}

export function addErrors(one: ErrorTotals, other: ErrorTotals): ErrorTotals {
  const sum = { ...one }
  for (const [key, count] of Object.entries(other)) sum[key] = (sum[key] ?? 0) + count
  return sum
}

function keyOf(source: ErrorSource, sqlstate: string): string {
  return `${source} ${sqlstate}`
}

export function partsOf(key: string): { readonly source: string; readonly sqlstate: string } {
  const [source = '', sqlstate = ''] = key.split(' ')
  return { source, sqlstate }
}
