/** The states of a pool, what leads from one to the next, and what is said meanwhile. Pure. */

import type { Notice } from '../wire/notices.ts'

export type PoolState = 'open' | 'pausing' | 'paused' | 'retiring' | 'gone'

/** Where there are no leases, servers are closed as they come free, and none are opened. */
export interface Standing {
  readonly state: PoolState
  /** What the log says of servers that come free while there are no leases; null while there are. */
  readonly closesBecause: string | null
  /** For whoever asks for a server when there will be no more; null if it may wait for one. */
  readonly lastWord: Notice | null
}

/** `emptied`: the last server has gone. */
type PoolEvent = 'paused' | 'resumed' | 'retired' | 'emptied'

/** What is not here changes nothing. */
const MOVES: Readonly<Record<PoolEvent, Partial<Record<PoolState, PoolState>>>> = {
  paused: { open: 'pausing' },
  resumed: { pausing: 'open', paused: 'open' },
  retired: { open: 'retiring', pausing: 'retiring', paused: 'retiring' },
  emptied: { pausing: 'paused', retiring: 'gone' },
}

export const OPEN: Standing = { state: 'open', closesBecause: null, lastWord: null }

/** Whoever waits goes on waiting, newcomers too. */
export function whenPaused(now: Standing): Standing {
  return after('paused', now, { closesBecause: 'pause mode', lastWord: null })
}

export function whenResumed(now: Standing): Standing {
  return after('resumed', now, OPEN)
}

/** Nobody waits for anything any more. */
export function whenRetired(now: Standing, notice: Notice): Standing {
  return after('retired', now, { closesBecause: notice.message, lastWord: notice })
}

export function whenEmptied(now: Standing): Standing {
  return after('emptied', now, now)
}

/** The same object where nothing changes. */
function after(event: PoolEvent, now: Standing, { closesBecause, lastWord }: Omit<Standing, 'state'>): Standing {
  const state = MOVES[event][now.state]
  return state === undefined ? now : { state, closesBecause, lastWord }
}
