/** Unauthenticated clients choose the names of users and databases, so what is kept by name must not fill the memory. */

import { describe, expect, test } from 'vitest'
import { ask, reload } from '../support/flow/commands.ts'
import type { FlowServer } from '../support/flow/postgres.ts'
import { error, ready, rows } from '../support/flow/replies.ts'
import { query, startup } from '../support/flow/requests.ts'
import { type Flow, startFlow, startPair } from '../support/flow/start.ts'

const NO_ROLE = error('28000', 'role does not exist', 'FATAL')

function letNobodyIn(server: FlowServer): void {
  server.send(NO_ROLE)
  server.close()
}

/** Connects a client that is refused. */
async function tryToEnter(flow: Flow, user: string, database: string): Promise<void> {
  const client = await flow.dial()
  client.send(startup({ user, database }))
  await client.inbox.through('ErrorResponse')
  await client.expectClosed()
}

/** Returns everything that is remembered by name. */
async function remembered(flow: Flow) {
  const { pools, permits, databases, fleet } = flow.pooler.parts
  return {
    pools: pools.count,
    limits: [...permits.limits].length,
    databases: [...databases].map(({ name }) => name),
    users: (await fleet.users()).map(({ name }) => name),
  }
}

test('users and databases that do not exist are forgotten together with their failed login', async () => {
  const flow = await startFlow({ databases: ['app=host=db', '*=host=db'] })
  flow.postgres.login = letNobodyIn
  const before = await remembered(flow)
  for (let number = 0; number < 50; number++) await tryToEnter(flow, `user ${number}`, `database ${number % 7}`)
  expect((await remembered(flow)).pools).toBe(50)
  await flow.advance(100)
  await flow.advance(1_000)
  expect(await remembered(flow)).toEqual(before)
})

test('a failed login is remembered for long enough to delay the next attempt', async () => {
  const flow = await startFlow({ settings: { server_login_retry: 15 } })
  flow.postgres.login = letNobodyIn
  for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 300) {
    await tryToEnter(flow, 'ada', 'app')
    await flow.advance(300)
  }
  expect(flow.postgres.servers.length).toBeLessThan(15)
})

describe('a pool', () => {
  test('is forgotten a minute after its last client and server have gone, but its counters are kept', async () => {
    const { flow, client, postgres } = await startPair({ settings: { server_idle_timeout: 60 } })
    client.send(query('counted'))
    await postgres.expect('Query(counted)')
    postgres.send(rows('x'), ready())
    await client.answer()
    client.leave()
    await flow.advance(60_100)
    await postgres.expectClosed()
    await flow.advance(100)
    await flow.advance(59_000)
    expect(flow.pooler.parts.pools.count).toBe(1)
    await flow.advance(2_000)
    expect(await remembered(flow)).toMatchObject({ pools: 0, limits: 0 })
    const [stats] = (await flow.pooler.parts.fleet.stats()).filter(({ database }) => database === 'app')
    expect(stats?.totals).toMatchObject({ queries: 1, clientLogins: 1 })
    await flow.connect()
    const [more] = (await flow.pooler.parts.fleet.stats()).filter(({ database }) => database === 'app')
    expect(more?.totals).toMatchObject({ queries: 1, clientLogins: 2 })
  })

  /** Starts a pooler in which a client has come and left, and its server has been closed. */
  async function used(pool_idle_timeout: number): Promise<Flow> {
    const flow = await startFlow({ settings: { server_idle_timeout: 60, pool_idle_timeout } })
    const client = await flow.connect()
    client.leave()
    await flow.advance(60_100)
    await flow.advance(100)
    return flow
  }

  test('is forgotten after pool_idle_timeout, whose new value applies from a reload on', async () => {
    const flow = await used(600)
    await flow.advance(590_000)
    expect(flow.pooler.parts.pools.count).toBe(1)
    await reload(flow, { settings: { server_idle_timeout: 60, pool_idle_timeout: 700 } })
    await flow.advance(100_000)
    expect(flow.pooler.parts.pools.count).toBe(1)
    await flow.advance(10_000)
    expect(flow.pooler.parts.pools.count).toBe(0)
  })

  test('is kept with pool_idle_timeout = 0, unless no login has ever succeeded', async () => {
    const flow = await used(0)
    flow.postgres.login = letNobodyIn
    await tryToEnter(flow, 'nobody', 'app')
    for (let days = 0; days < 2; days++) await flow.advance(86_400_000)
    expect([...flow.pooler.parts.pools].map(({ user }) => user)).toEqual(['ada'])
  })

  test('that is used again at the moment when it would be forgotten is kept', async () => {
    const flow = await used(60)
    const pool = flow.pool()
    flow.clock.advance(60_000)
    const client = await flow.dial()
    client.send(startup({ user: 'ada', database: 'app' }))
    await client.answer()
    for (let minutes = 0; minutes < 3; minutes++) await flow.advance(60_000)
    expect(flow.pool()).toBe(pool)
    await ask(client, flow)
  })

  test('that is forgotten while its client logs in is created again', async () => {
    const flow = await used(60)
    const pool = flow.pool()
    const client = await flow.dial()
    client.send(startup({ user: 'ada', database: 'app' }))
    flow.clock.advance(60_000)
    flow.pooler.parts.sweep()
    await client.answer()
    expect(pool.state).toBe('gone')
    expect(flow.pool()).not.toBe(pool)
    await ask(client, flow)
  })

  test('is remembered while it has a client, even without servers', async () => {
    const { flow } = await startPair({ settings: { server_idle_timeout: 60 } })
    for (let minutes = 0; minutes < 10; minutes++) await flow.advance(60_100)
    expect(flow.counts()).toEqual({})
  })

  test('with a forced user is kept, and opens its servers once Postgres accepts logins again', async () => {
    const flow = await startFlow({ databases: ['app=host=db user=forced min_pool_size=1'] })
    flow.postgres.login = letNobodyIn
    for (let minutes = 0; minutes < 5; minutes++) await flow.advance(60_000)
    flow.postgres.login = (server) => server.welcome()
    await flow.advance(16_000)
    await flow.advance(400)
    expect(flow.counts(flow.pool('app', 'forced'))).toEqual({ idle: 1 })
  })

  test('with startup-only settings is forgotten like any other', async () => {
    const { flow } = await startPair({ settings: { server_idle_timeout: 60 } })
    const wishing = await flow.connect({ parameters: { ignore_system_indexes: 'on' } })
    wishing.leave()
    for (let minutes = 0; minutes < 3; minutes++) await flow.advance(60_100)
    expect(flow.pooler.parts.pools.count).toBe(1)
  })
})

describe('a database of the entry *', () => {
  async function leaveBehind(settings: Readonly<Record<string, string | number>> = {}): Promise<Flow> {
    const flow = await startFlow({
      databases: ['*=host=db'],
      settings: { server_idle_timeout: 60, ...settings },
    })
    const client = await flow.connect({ database: 'auto' })
    client.leave()
    for (let minutes = 0; minutes < 3; minutes++) await flow.advance(60_100)
    expect(await remembered(flow)).toMatchObject({ pools: 0, databases: ['auto'] })
    return flow
  }

  async function statsOf(flow: Flow): Promise<string[]> {
    return (await flow.pooler.parts.fleet.stats()).map(({ database }) => database)
  }

  test('is forgotten with its statistics after autodb_idle_timeout', async () => {
    const flow = await leaveBehind({ autodb_idle_timeout: 600 })
    expect(await statsOf(flow)).toContain('auto')
    await flow.advance(600_000)
    expect(await remembered(flow)).toMatchObject({ databases: [] })
    expect(await statsOf(flow)).not.toContain('auto')
    await flow.connect({ database: 'auto' })
  })

  test('is forgotten after autodb_idle_timeout even if pool_idle_timeout is 0 or longer', async () => {
    for (const pool_idle_timeout of [0, 7_200]) {
      const flow = await startFlow({
        databases: ['app=host=db', '*=host=db'],
        settings: { server_idle_timeout: 60, pool_idle_timeout, autodb_idle_timeout: 600 },
      })
      for (const database of ['auto', 'app']) (await flow.connect({ database })).leave()
      await flow.advance(60_100)
      await flow.advance(100)
      await flow.advance(590_000)
      expect(await remembered(flow)).toMatchObject({ pools: 2, databases: ['app', 'auto'] })
      await flow.advance(10_000)
      expect(await remembered(flow)).toMatchObject({ pools: 1, databases: ['app'] })
    }
  })

  test('with a forced user opens no servers once its clients have gone', async () => {
    const flow = await startFlow({ databases: ['*=host=db user=forced min_pool_size=1'] })
    flow.postgres.login = letNobodyIn
    for (let number = 0; number < 20; number++) await tryToEnter(flow, 'ada', `database ${number}`)
    for (let minutes = 0; minutes < 5; minutes++) await flow.advance(60_000)
    expect(await remembered(flow)).toMatchObject({ pools: 0, limits: 0, databases: [] })
  })

  test('is kept if autodb_idle_timeout is 0, or if it is disabled', async () => {
    const [flow, disabled] = [
      await leaveBehind({ autodb_idle_timeout: 0 }),
      await leaveBehind({ autodb_idle_timeout: 600 }),
    ]
    await disabled.pooler.parts.fleet.control.disable('auto')
    for (const each of [flow, disabled]) {
      await each.advance(10_000_000)
      expect((await remembered(each)).databases).toEqual(['auto'])
    }
  })
})
