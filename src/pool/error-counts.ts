/** Errors that clients were told, by whose they are and by SQLSTATE. Queries can raise any code: only so many are told apart. */

/** Whose error it is: of PostgreSQL, passed on, or of the pooler itself. */
export type ErrorSource = 'postgresql' | 'pgweir'

/** By `keyOf`. */
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
