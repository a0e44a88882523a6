/** One timer for all deadlines of the process. PgBouncer's granularity is 333 ms. */

export const SWEEP_MS = 100

export interface Janitor {
  stop(): void
}

/** If a sweep is later than this, the process itself was kept from running. */
const LATE_MS = 2 * SWEEP_MS

/**
 * Calls `sweep` every SWEEP_MS. Does not keep the process alive.
 *
 * @param sweep receives whether it is late. Messages that arrived while the process was kept from running are read only after a late sweep, so
 * that it must not blame anybody for being silent. No two sweeps in a row are called late: a process that is always late must still enforce its
 * deadlines
 */
export function startJanitor(sweep: (isLate: boolean) => void, nowMs = () => performance.now()): Janitor {
  let lastMs = nowMs()
  let isLate = false
  const timer = setInterval(() => {
    const sinceMs = nowMs() - lastMs
    lastMs += sinceMs
    isLate = sinceMs > LATE_MS && !isLate
    sweep(isLate)
  }, SWEEP_MS)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}
