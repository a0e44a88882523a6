/** The states of a pool and its moves. */

export type PoolState = 'open' | 'pausing' | 'paused' | 'retiring' | 'gone'

export const POOL_MOVES: Record<PoolState, readonly PoolState[]> = {
  open: ['pausing', 'retiring'],
  /** No new leases; servers are closed as they come free, and whoever waits goes on waiting. */
  pausing: ['open', 'paused', 'retiring'],
  /** No servers are left. */
  paused: ['open', 'retiring'],
  /** No new leases, for ever; servers are closed as they come free. */
  retiring: ['gone'],
  gone: [],
}
