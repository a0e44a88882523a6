/** Hot path: counts lengths of time in buckets, from which percentiles can be computed later. Nothing is allocated per length. */

/** Upper bounds in milliseconds, from 100 µs to a minute. Longer times count in one more bucket. */
export const BUCKETS_MS: readonly number[] = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 60_000,
]

/** The upper bound of the last bucket. A percentile beyond it is not known, and shown as this. */
export const LONGEST_MS = BUCKETS_MS.at(-1) as number

export class Histogram {
  /** One for each bucket. */
  readonly counts = new Float64Array(BUCKETS_MS.length + 1)
  sumMs = 0

  note(ms: number): void {
    this.sumMs += ms
    // Most times are short, so that this loop soon finds their bucket.
    let bucket = 0
    while (bucket < BUCKETS_MS.length && ms > (BUCKETS_MS[bucket] as number)) bucket++
    ;(this.counts[bucket] as number)++
  }
}

/** What is known about many lengths of time: plain data, which can be added up. */
export interface Lengths {
  readonly counts: readonly number[]
  readonly sumMs: number
}

export function lengthsOf({ counts, sumMs }: Histogram): Lengths {
  // Copying a typed array by its iterator takes five times as long, and there may be thousands of them.
  const copy = new Array<number>(counts.length)
  for (let bucket = 0; bucket < counts.length; bucket++) copy[bucket] = counts[bucket] as number
  return { counts: copy, sumMs }
}

export function addLengths(one: Lengths, other: Lengths): Lengths {
  return {
    counts: one.counts.map((count, bucket) => count + (other.counts[bucket] ?? 0)),
    sumMs: one.sumMs + other.sumMs,
  }
}

/** A sum to which lengths are added in place, where there are too many to create a new object for each. */
export class SumOfLengths implements Lengths {
  readonly counts: number[]
  sumMs: number

  constructor({ counts, sumMs }: Lengths) {
    this.counts = counts.slice()
    this.sumMs = sumMs
  }

  add({ counts, sumMs }: Lengths): void {
    for (let bucket = 0; bucket < this.counts.length; bucket++)
      this.counts[bucket] = (this.counts[bucket] as number) + (counts[bucket] as number)
    this.sumMs += sumMs
  }
}

/**
 * Returns the length of time that the given part of all does not exceed: exact to a bucket, and interpolated within it as if all were
 * spread evenly. Returns null if there are none, and Infinity if it is longer than the longest bucket.
 *
 * @param part from 0 to 1
 */
export function quantileMs({ counts }: Lengths, part: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  let left = part * total
  for (const [bucket, count] of counts.entries()) {
    if (left > count) {
      left -= count
      continue
    }
    const upper = BUCKETS_MS[bucket]
    if (upper === undefined) return Infinity
    const lower = bucket === 0 ? 0 : (BUCKETS_MS[bucket - 1] as number)
    return count === 0 ? lower : lower + ((upper - lower) * left) / count
  }
  return Infinity
}
