/** Decides whether what a client does with its server has taken too long. Pure. */

import type { ProblemKind } from '../problems.ts'

export interface Activity {
  /** Replies are owed. */
  readonly isRunning: boolean
  readonly isInTransaction: boolean
  readonly requestMs: number
  readonly transactionMs: number
  /** When the last request was answered. */
  readonly answeredMs: number
}

/** 0 means never. */
export interface Deadlines {
  readonly queryTimeoutMs: number
  readonly idleTransactionTimeoutMs: number
  readonly transactionTimeoutMs: number
}

export function overdue(nowMs: number, activity: Activity, limits: Deadlines): ProblemKind | null {
  const { isRunning, isInTransaction } = activity
  if (isRunning && hasPassed(nowMs, activity.requestMs, limits.queryTimeoutMs)) return 'query-timeout'
  if (!isRunning && isInTransaction && hasPassed(nowMs, activity.answeredMs, limits.idleTransactionTimeoutMs))
    return 'idle-transaction-timeout'
  if ((isRunning || isInTransaction) && hasPassed(nowMs, activity.transactionMs, limits.transactionTimeoutMs))
    return 'transaction-timeout'
  return null
}

function hasPassed(nowMs: number, sinceMs: number, limitMs: number): boolean {
  return limitMs > 0 && nowMs - sinceMs > limitMs
}
