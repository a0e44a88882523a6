/** The states of a worker, as its primary sees it, and its moves. */

export type WorkerState = 'starting' | 'serving' | 'draining' | 'stopping' | 'gone'

export const ONCE_IT_SERVES: readonly WorkerState[] = ['serving', 'draining']

/** For what it would not be told later, since it comes after its start order. */
export const FROM_THE_START: readonly WorkerState[] = ['starting', ...ONCE_IT_SERVES]

export const WORKER_MOVES: Record<WorkerState, readonly WorkerState[]> = {
  /** The process runs, and does not accept clients yet. */
  starting: ['serving', 'stopping', 'gone'],
  serving: ['draining', 'stopping', 'gone'],
  /** Takes no new clients; ends with its last one. */
  draining: ['stopping', 'gone'],
  /** Has been told to end at once. */
  stopping: ['gone'],
  gone: [],
}
