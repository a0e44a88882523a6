import { expect, test } from 'vitest'
import { type Activity, type Deadlines, overdue } from '../../../src/client/deadlines.ts'

const ALL: Deadlines = { queryTimeoutMs: 100, idleTransactionTimeoutMs: 200, transactionTimeoutMs: 300 }
const BEGAN: Activity = { isRunning: false, isInTransaction: false, requestMs: 0, transactionMs: 0, answeredMs: 0 }

const CASES: [
  promise: string,
  nowMs: number,
  activity: Partial<Activity>,
  limits: Partial<Deadlines>,
  kind: string | null,
][] = [
  ['a query within query_timeout goes on', 100, { isRunning: true }, {}, null],
  ['a query that takes longer is ended', 101, { isRunning: true }, {}, 'query-timeout'],
  ['a client may be idle in a transaction for idle_transaction_timeout', 200, { isInTransaction: true }, {}, null],
  [
    'a client that is idle in a transaction for longer is disconnected',
    201,
    { isInTransaction: true },
    {},
    'idle-transaction-timeout',
  ],
  ['a running query is not idle', 90, { isInTransaction: true, isRunning: true, answeredMs: -500 }, {}, null],
  [
    'a transaction of many short queries is ended as a whole',
    301,
    { isInTransaction: true, answeredMs: 300, requestMs: 300 },
    {},
    'transaction-timeout',
  ],
  ['outside a transaction nothing is overdue', 9_999, {}, {}, null],
  [
    'a limit of 0 never applies',
    9_999,
    { isRunning: true, isInTransaction: true },
    { queryTimeoutMs: 0, transactionTimeoutMs: 0 },
    null,
  ],
]

for (const [promise, nowMs, activity, limits, kind] of CASES)
  test(promise, () => {
    expect(overdue(nowMs, { ...BEGAN, ...activity }, { ...ALL, ...limits })).toBe(kind)
  })
