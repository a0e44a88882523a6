/** One timer for all deadlines of the process. PgBouncer's granularity is 333 ms. */

export const SWEEP_MS = 100

export interface Janitor {
  stop(): void
}

/** Calls `sweep` every SWEEP_MS. Does not keep the process alive. */
export function startJanitor(sweep: () => void): Janitor {
  const timer = setInterval(sweep, SWEEP_MS)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}
