/** The states of a pool, the events that lead from one to the next, and what is logged and answered meanwhile. Pure. */

import type { Notice } from '../wire/notices.ts'

export type PoolState = 'open' | 'pausing' | 'paused' | 'retiring' | 'gone'

/** A state and what follows from it. While a pool grants no leases, servers are closed as they come free, and none are opened. */
export interface Standing {
  readonly state: PoolState
  /** The logged reason for closing servers that come free while the pool grants no leases; null while it does. */
  readonly closesBecause: string | null
  /** The error for clients that ask for a server when there will be none any more; null if they may wait for one. */
  readonly lastWord: Notice | null
}

/** `emptied`: the last server has gone. */
type PoolEvent = 'paused' | 'resumed' | 'retired' | 'emptied'

/** A combination that is not listed changes nothing. */
const MOVES: Readonly<Record<PoolEvent, Partial<Record<PoolState, PoolState>>>> = {
  paused: { open: 'pausing' },
  resumed: { pausing: 'open', paused: 'open' },
  retired: { open: 'retiring', pausing: 'retiring', paused: 'retiring' },
  emptied: { pausing: 'paused', retiring: 'gone' },
}

export const OPEN: Standing = { state: 'open', closesBecause: null, lastWord: null }

/** Waiters keep waiting, and clients that come later wait too. */
export function whenPaused(now: Standing): Standing {
  return after('paused', now, { closesBecause: 'pause mode', lastWord: null })
}

export function whenResumed(now: Standing): Standing {
  return after('resumed', now, OPEN)
}

/** Waiters, and clients that come later, are refused with `notice`. */
export function whenRetired(now: Standing, notice: Notice): Standing {
  return after('retired', now, { closesBecause: notice.message, lastWord: notice })
}

export function whenEmptied(now: Standing): Standing {
  return after('emptied', now, now)
}

/** Returns `now` itself if nothing changes. */
function after(event: PoolEvent, now: Standing, { closesBecause, lastWord }: Omit<Standing, 'state'>): Standing {
  const state = MOVES[event][now.state]
  return state === undefined ? now : { state, closesBecause, lastWord }
}
