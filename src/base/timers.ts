/** What Node's timers take: one that is to last longer is over at once. */
export const MAX_TIMER_MS = 2_147_483_647

/** Calls back once. That does not keep a process from ending that has nothing else to do any more. */
export function later(ms: number, work: () => void): void {
  setTimeout(work, ms).unref()
}
