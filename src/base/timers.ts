/** The longest time that Node's timers accept: a timer with a longer one fires at once. */
export const MAX_TIMER_MS = 2_147_483_647

/** Calls `work` once. The timer does not keep the process alive if it has nothing else to do. */
export function later(ms: number, work: () => void): void {
  setTimeout(work, ms).unref()
}
