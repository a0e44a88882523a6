/** Decides whether a session keeps its server after something has been read or written. */

import type { PoolMode } from '../pool/settings.ts'

export interface Holding {
  readonly mode: PoolMode
  /** Outside a transaction, nothing owed, no COPY open, no reply read only in part. */
  readonly isServerClean: boolean
  /** Bytes of replies that the client's socket has not taken. */
  readonly owedToClient: number
  /** A message of the client's has been passed on only in part. */
  readonly isMidRequest: boolean
}

/** A server goes back only when nothing of this client's is left in it or on the way. */
export function keepsServer(holding: Holding): boolean {
  return holding.mode === 'session' || !isFree(holding)
}

/** Whether the server may be given to another client when this one leaves. */
export function isFree(holding: Omit<Holding, 'mode'>): boolean {
  return holding.isServerClean && holding.owedToClient === 0 && !holding.isMidRequest
}
