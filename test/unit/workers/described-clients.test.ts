import { describe, expect, test } from 'vitest'
import type { Session } from '../../../src/client/session.ts'
import { SESSION_STATES, type SessionState } from '../../../src/client/states.ts'
import {
  clientState,
  describeClient,
  describeNewcomer,
  describeTransaction,
  serverOf,
} from '../../../src/workers/described-clients.ts'

const CHANNEL = { peer: { host: 'client', port: 1 }, local: { host: 'here', port: 2 }, tls: '', owedBytes: 3 }
const RELAY = { pool: { user: 'owner' }, waitingSinceMs: 0, promised: null, server: null, transactionMs: null }

/** A session with only the properties that are read. */
function session(state: SessionState, more: object = {}): Session {
  return {
    ...{ id: 7, state, user: 'ada', database: 'app', replication: 'none', applicationName: 'shop' },
    ...{ channel: CHANNEL, handler: null, relay: null, waiter: null, connectedMs: 1_000, connectedWallMs: 501_000 },
    ...more,
  } as unknown as Session
}

function relaying(state: SessionState, more: object = {}, requestMs = 0): Session {
  const relay = { ...RELAY, ...more }
  return session(state, { relay, waiter: relay, handler: { requestMs, preparedStatements: 2 } })
}

const SHOWN: Record<SessionState, string | null> = {
  greeting: null,
  authenticating: null,
  welcoming: 'waiting',
  idle: 'idle',
  waiting: 'waiting',
  active: 'active',
  closing: null,
  closed: null,
}

describe('a client', () => {
  test.each(SESSION_STATES)('whose session is %s is shown as PgBouncer would', (state) => {
    expect(clientState(session(state))).toBe(SHOWN[state])
    expect(describeClient(session(state), 2_000)?.state ?? null).toBe(SHOWN[state])
  })

  test('is no longer queued once a server is being made ready for it', () => {
    const server = { id: 5 }
    const ready = relaying('waiting', { promised: server })
    expect(serverOf(ready)).toBe(server)
    expect(describeClient(ready, 2_000)).toMatchObject({ state: 'active', serverId: 5, waitUs: 0 })
  })

  test('that is queued shows how long it has waited', () => {
    const row = describeClient(relaying('waiting', { waitingSinceMs: 1_500 }), 2_000.25)
    expect(row).toMatchObject({ state: 'waiting', waitUs: 500_250, serverId: null })
  })

  test('that is not queued shows no wait, even if it waited before', () => {
    expect(describeClient(relaying('active', { waitingSinceMs: 1_500 }), 2_000)).toMatchObject({ waitUs: 0 })
  })

  test('shows when its last request came; before its first request, when it connected', () => {
    expect(describeClient(relaying('idle', {}, 1_750), 2_000)).toMatchObject({
      connectedAt: 501_000,
      requestedAt: 501_750,
    })
    expect(describeClient(relaying('idle'), 2_000)).toMatchObject({ requestedAt: 501_000 })
  })

  test('shows its own user and that of its pool', () => {
    expect(describeClient(relaying('idle'), 2_000)).toMatchObject({ user: 'ada', poolUser: 'owner' })
  })

  test('of the console is shown in the database pgbouncer, without replication', () => {
    const handler = { requestMs: 0, preparedStatements: 0 }
    const row = describeClient(session('idle', { handler, database: 'pgweir', replication: 'logical' }), 2_000)
    expect(row).toMatchObject({ database: 'pgbouncer', poolUser: null, replication: 'none' })
  })
})

describe('a connecting client', () => {
  test.each(SESSION_STATES)('is one that has not logged in yet: %s', (state) => {
    const isNew = state === 'greeting' || state === 'authenticating'
    expect(describeNewcomer(session(state), 2_000) !== null).toBe(isNew)
  })

  test('shows the user it claims to be, and no database yet', () => {
    expect(describeNewcomer(session('authenticating'), 2_000)).toMatchObject({
      ...{ id: 7, user: 'ada', database: '', state: 'login' },
    })
  })
})

describe('a transaction', () => {
  test('that runs is listed with its age and whether the server owes an answer', () => {
    const of = (isEmpty: boolean) => relaying('active', { transactionMs: 1_250, server: { ledger: { isEmpty } } })
    expect(describeTransaction(of(false), 2_000)).toEqual({
      ...{ clientId: 7, user: 'ada', poolUser: 'owner', database: 'app', peer: CHANNEL.peer, applicationName: 'shop' },
      ...{ ageUs: 750_000, isRunning: true },
    })
    expect(describeTransaction(of(true), 2_000)).toMatchObject({ isRunning: false })
  })

  test('is not listed if there is none or its client is closing', () => {
    expect(describeTransaction(relaying('active'), 2_000)).toBe(null)
    expect(describeTransaction(session('idle'), 2_000)).toBe(null)
    expect(describeTransaction(relaying('closing', { transactionMs: 1_250 }), 2_000)).toBe(null)
  })
})
