/** The states of a worker as seen by its primary, and its moves. */

export type WorkerState = 'starting' | 'serving' | 'draining' | 'stopping' | 'gone'

export const ONCE_IT_SERVES: readonly WorkerState[] = ['serving', 'draining']

/** For messages that must also reach workers that are starting: they would not hear of it otherwise, since they have their start order already. */
export const FROM_THE_START: readonly WorkerState[] = ['starting', ...ONCE_IT_SERVES]

export const WORKER_MOVES: Record<WorkerState, readonly WorkerState[]> = {
  /** The process runs, but does not accept clients yet. */
  starting: ['serving', 'stopping', 'gone'],
  serving: ['draining', 'stopping', 'gone'],
  /** Takes no new clients; ends with its last one. */
  draining: ['stopping', 'gone'],
  /** Has been told to end at once. */
  stopping: ['gone'],
  gone: [],
}
