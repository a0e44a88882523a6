import { describe, expect, test } from 'vitest'
import type { Session } from '../../../src/client/session.ts'
import type { Pool } from '../../../src/pool/pool.ts'
import type { Server } from '../../../src/server/server.ts'
import { SERVER_STATES, type ServerState } from '../../../src/server/states.ts'
import { countServers, describeServers, noServers } from '../../../src/workers/described-servers.ts'
import type { ServerGroup } from '../../../src/workers/fleet.ts'

/** A server with only the properties that are read. */
function server(more: object = {}): Server {
  return {
    ...{ id: 3, pid: 99, peer: null, local: null, tls: '', condemned: null, owedBytes: 0 },
    ...{ startedMs: 1_000, startedWallMs: 501_000, usedMs: 1_200, statements: { size: 4 } },
    ...{ profile: { values: ['', 'shop'] } },
    ...more,
  } as unknown as Server
}

function pool(servers: Partial<Record<ServerState, Server[]>>, needsCheck = false): Pool {
  return {
    ...{ database: 'app', user: 'ada', options: { replication: 'none', tracked: { place: () => 1 } } },
    servers: (state: ServerState) => servers[state] ?? [],
    needsCheck: () => needsCheck,
  } as unknown as Pool
}

const NOBODY: ReadonlyMap<Server, Session> = new Map()

const GROUPS: Record<ServerState, ServerGroup | null> = {
  dialing: 'new',
  login: 'new',
  idle: 'idle',
  checking: 'tested',
  aligning: 'active',
  leased: 'active',
  restoring: 'active',
  canceling: 'being_canceled',
  cleaning: 'tested',
  closing: null,
  closed: null,
}

describe('a server', () => {
  test.each(SERVER_STATES)('that is %s is in the same group as in PgBouncer', (state) => {
    const group = GROUPS[state]
    const of = pool({ [state]: [server()] })
    expect(describeServers(of, NOBODY).map((row) => row.state)).toEqual(group === null ? [] : [group])
    expect(countServers(of)).toEqual(group === null ? noServers() : { ...noServers(), [group]: 1 })
  })

  test('that has been idle long enough to need a check counts as used', () => {
    const of = pool({ idle: [server()] }, true)
    expect(countServers(of)).toEqual({ ...noServers(), used: 1 })
  })

  test('shows the time of its client’s last request; without a client, of its own last use', () => {
    const held = server()
    const fresh = server()
    const holder = { id: 8, handler: { requestMs: 1_900 } } as unknown as Session
    const silent = { id: 9, handler: { requestMs: 0 } } as unknown as Session
    const of = pool({ leased: [held, fresh], idle: [server()] })
    const rows = describeServers(
      of,
      new Map([
        [held, holder],
        [fresh, silent],
      ]),
    )
    expect(rows.find(({ clientId }) => clientId === 9)).toMatchObject({ requestedAt: 501_200 })
    expect(rows.filter(({ clientId }) => clientId !== 9)).toMatchObject([
      { state: 'idle', clientId: null, connectedAt: 501_000, requestedAt: 501_200 },
      { state: 'active', clientId: 8, connectedAt: 501_000, requestedAt: 501_900 },
    ])
  })

  test('shows the application_name that it was set to', () => {
    expect(describeServers(pool({ idle: [server()] }), NOBODY)).toMatchObject([{ applicationName: 'shop' }])
    const bare = server({ profile: { values: [] } })
    expect(describeServers(pool({ idle: [bare] }), NOBODY)).toMatchObject([{ applicationName: '' }])
  })

  test('that will not be used again is marked as such', () => {
    const of = pool({ leased: [server({ condemned: 'lifetime reached' })] })
    expect(describeServers(of, NOBODY)).toMatchObject([{ isCondemned: true }])
  })
})
