/** The states of a pool and its moves. */

export type PoolState = 'open' | 'retiring' | 'gone'

export const POOL_MOVES: Record<PoolState, readonly PoolState[]> = {
  open: ['retiring'],
  /** No new leases; servers are closed as they come free. */
  retiring: ['gone'],
  gone: [],
}
