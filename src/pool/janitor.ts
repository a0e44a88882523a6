/** One timer for all deadlines of the process. PgBouncer's granularity is 333 ms. */

export const SWEEP_MS = 100

export interface Janitor {
  stop(): void
}

/** Later than this, the process itself has been kept from running. */
const LATE_MS = 2 * SWEEP_MS

/**
 * Calls `sweep` every SWEEP_MS. Does not keep the process alive.
 *
 * @param sweep told whether it comes late: what others have said meanwhile is read only after it. That is said once at a time, since whoever
 * is always late must look nonetheless
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
