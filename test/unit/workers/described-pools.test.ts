import { expect, test } from 'vitest'
import type { Session } from '../../../src/client/session.ts'
import type { SessionState } from '../../../src/client/states.ts'
import type { Pool } from '../../../src/pool/pool.ts'
import type { Server } from '../../../src/server/server.ts'
import { describePools } from '../../../src/workers/described-pools.ts'

/** A pool with one idle server, and otherwise only the properties that are read. */
function pool(database: string, user: string, connected = 1): Pool {
  return {
    ...{ database, user, balance: null, connected, settings: { mode: 'transaction', size: 20 } },
    servers: (state: string) => (state === 'idle' ? [{}] : []),
    needsCheck: () => false,
  } as unknown as Pool
}

function session(state: SessionState, of: Pool | null, waitingSinceMs = 0, transactionMs: number | null = null) {
  const relay = of && { pool: of, waitingSinceMs, transactionMs, promised: null, server: null }
  return { state, relay, waiter: relay } as unknown as Session
}

function cancel(of: Pool, isSent: boolean) {
  return { server: { context: { owner: of } } as unknown as Server, isSent }
}

test('each pool shows its clients by state, its longest wait and its oldest transaction', () => {
  const app = pool('app', 'ada')
  const rest = pool('app', 'bob')
  const sessions = [
    session('waiting', app, 1_500),
    session('waiting', app, 1_200),
    session('active', app, 0, 1_900),
    session('active', app, 0, 1_600),
    session('idle', rest),
    session('closing', app, 0, 1_000),
  ]
  expect(describePools([app, rest], sessions, [], 2_000).slice(1)).toMatchObject([
    {
      ...{ user: 'ada', mode: 'transaction', maxServers: 20, permits: 1, servers: { idle: 1 } },
      ...{ clients: { active: 2, idle: 0, waiting: 2 }, longestWaitUs: 800_000, oldestTransactionUs: 400_000 },
    },
    { user: 'bob', clients: { active: 0, idle: 1, waiting: 0 }, longestWaitUs: 0, oldestTransactionUs: 0 },
  ])
})

test('the console is listed first, as a pool for the clients that have no other', () => {
  expect(describePools([pool('app', 'ada')], [session('idle', null)], [], 2_000)).toMatchObject([
    { database: 'pgbouncer', user: 'pgbouncer', mode: 'statement', clients: { idle: 1 }, servers: { idle: 0 } },
    { database: 'app', clients: { idle: 0 } },
  ])
})

test('cancel requests count in the pool of the server that they go to', () => {
  const app = pool('app', 'ada')
  const gone = pool('app', 'gone')
  const cancels = [cancel(app, true), cancel(app, false), cancel(app, false), cancel(gone, true)]
  expect(describePools([app], [], cancels, 2_000)).toMatchObject([
    { database: 'pgbouncer', cancels: { sent: 0, waiting: 0 } },
    { database: 'app', cancels: { sent: 1, waiting: 2 } },
  ])
})

test('a client of a removed pool is not counted', () => {
  const rows = describePools([], [session('active', pool('app', 'gone'))], [], 2_000)
  expect(rows).toMatchObject([{ database: 'pgbouncer', clients: { active: 0, idle: 0, waiting: 0 } }])
})

test('pools that differ only in the startup settings of their servers are shown as one row', () => {
  const rows = describePools([pool('app', 'ada', 1), pool('app', 'ada', 2)], [], [], 2_000)
  expect(rows.slice(1)).toMatchObject([{ database: 'app', permits: 3, servers: { idle: 2 } }])
})
