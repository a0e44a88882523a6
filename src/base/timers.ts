/** What Node's timers take: one that is to last longer is over at once. */
export const MAX_TIMER_MS = 2_147_483_647
