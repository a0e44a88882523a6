import { serialize } from 'pg-protocol'
import { describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/base/clock.ts'
import { type Pgweir, type PgweirOptions, startPgweir } from '../support/e2e/pgweir.ts'
import { extended, startup } from '../support/e2e/raw-client.ts'
import { untilNotRunning, untilRunning } from '../support/e2e/server-side.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()

/** Starts a pooler whose clock moves only when the test says so. PostgreSQL itself runs in real time. */
async function startStill(settings: PgweirOptions['settings'], options: Partial<PgweirOptions> = {}) {
  const clock = new ManualClock()
  const pgweir = await startPgweir({ ...options, database, clock, ...(settings && { settings }) })
  return { pgweir, pass: (seconds: number) => pass(pgweir, clock, seconds) }
}

function pass(pgweir: Pgweir, clock: ManualClock, seconds: number): void {
  clock.advance(seconds * 1_000)
  pgweir.sweep()
}

describe('query_timeout', () => {
  test('disconnects the client and cancels the query on the server', async () => {
    const { pgweir, pass } = await startStill({ query_timeout: 10 })
    const client = await pgweir.client()
    const answer = failureOf(client.query('select pg_sleep(60)'))
    await untilRunning(database, 'pg_sleep(60)')
    pass(9)
    expect(await pgweir.connections()).toBe(1)
    pass(2)
    expect(await answer).toMatchObject({ code: '57014', message: 'query timeout', severity: 'FATAL' })
    await untilNotRunning(database, 'pg_sleep(60)')
  })

  for (const [name, query] of Object.entries({
    simple: serialize.query('select pg_sleep(60)'),
    extended: extended('select pg_sleep(60)'),
  }))
    test(`counts from the ${name} query, not from the previous one in the transaction`, async () => {
      const { pgweir, pass } = await startStill({ query_timeout: 10 })
      const client = await pgweir.raw()
      await client.ask(serialize.query('begin'))
      pass(60)
      client.send(query)
      await untilRunning(database, 'pg_sleep(60)')
      pass(5)
      expect(await pgweir.connections()).toBe(1)
      await pgweir.cancel(client.cancelKey)
      expect((await client.lines()).at(-1)).toBe('ReadyForQuery E')
      await client.ask(serialize.query('rollback'))
    })

  test('may be set for one user', async () => {
    const { pgweir, pass } = await startStill({}, { users: [`${database.user} = query_timeout=10`] })
    const client = await pgweir.client()
    const answer = failureOf(client.query('select pg_sleep(60)'))
    await untilRunning(database, 'pg_sleep(60)')
    pass(11)
    expect(await answer).toMatchObject({ message: 'query timeout' })
  })
})

test('query_wait_timeout disconnects a client that has waited too long, and query_wait_notify sends it a notice before', async () => {
  const { pgweir, pass } = await startStill({ query_wait_timeout: 30, query_wait_notify: 5 })
  const [blocker, client] = [await pgweir.client(), await pgweir.raw()]
  await blocker.query('begin')
  client.send(serialize.query('select 1'))
  await until('it waits', async () => (await pgweir.counts()).waiting === 1)
  pass(6)
  expect((await client.next())?.line).toBe(
    'NoticeResponse 00000 No server connection available in postgres backend, client being queued',
  )
  pass(20)
  pass(5)
  expect(await client.rest()).toEqual(['ErrorResponse FATAL 57014 query_wait_timeout'])
  await blocker.query('commit')
})

test('idle_transaction_timeout disconnects a client that is idle in a transaction, and frees its server', async () => {
  const { pgweir, pass } = await startStill({ idle_transaction_timeout: 10 })
  const [forgetful, other] = [await pgweir.raw(), await pgweir.client()]
  await forgetful.ask(serialize.query('begin'))
  const answer = other.query('select 1 as one')
  await until('the other one waits', async () => (await pgweir.counts()).waiting === 1)
  pass(9)
  await forgetful.ask(serialize.query('select 1'))
  pass(9)
  expect(forgetful.hasEnded).toBe(false)
  pass(2)
  expect(await forgetful.rest()).toEqual(['ErrorResponse FATAL 25P03 idle transaction timeout'])
  expect((await answer).rows).toEqual([{ one: 1 }])
})

test('transaction_timeout ends a transaction that takes too long, even if it is busy', async () => {
  const { pgweir, pass } = await startStill({ transaction_timeout: 10 })
  const client = await pgweir.raw()
  await client.ask(serialize.query('begin'))
  for (let round = 0; round < 3; round++) {
    pass(3)
    await client.ask(serialize.query('select 1'))
  }
  pass(2)
  expect(await client.rest()).toEqual(['ErrorResponse FATAL 25P04 transaction timeout'])
})

test('client_idle_timeout disconnects a client that is idle outside a transaction', async () => {
  const { pgweir, pass } = await startStill({ client_idle_timeout: 10, default_pool_size: 2 })
  const [idle, busy, inside] = [await pgweir.raw(), await pgweir.raw(), await pgweir.raw()]
  await inside.ask(serialize.query('begin'))
  for (let round = 0; round < 4; round++) {
    pass(4)
    await busy.ask(serialize.query('select 1'))
  }
  expect(await idle.rest()).toEqual(['ErrorResponse FATAL 57P05 client_idle_timeout'])
  expect((await inside.ask(serialize.query('commit'))).at(-1)).toBe('ReadyForQuery I')
})

test('client_login_timeout disconnects a client that does not finish its login', async () => {
  const { pgweir, pass } = await startStill({ client_login_timeout: 10, auth_type: 'scram-sha-256' })
  const silent = await pgweir.stranger()
  const halfway = await pgweir.stranger()
  halfway.send(startup({ user: database.user, database: database.database }))
  expect((await halfway.next())?.line).toBe('Authentication 10')
  await until('both are here', async () => (await pgweir.connections()) === 2)
  pass(11)
  expect(await silent.rest()).toEqual(['ErrorResponse FATAL 08006 client_login_timeout'])
  expect(await halfway.rest()).toEqual(['ErrorResponse FATAL 08006 client_login_timeout'])
})

describe('timeouts of servers:', () => {
  test('server_idle_timeout closes idle servers, down to min_pool_size', async () => {
    const { pgweir, pass } = await startStill({ server_idle_timeout: 10, default_pool_size: 3, min_pool_size: 1 })
    const clients = [await pgweir.client(), await pgweir.client(), await pgweir.client()]
    await Promise.all(clients.map((client) => client.query('begin')))
    await Promise.all(clients.map((client) => client.query('commit')))
    expect((await pgweir.counts()).servers).toBe(3)
    pass(11)
    expect((await pgweir.counts()).servers).toBe(1)
  })

  test('server_lifetime closes old servers once they are free, one after the other', async () => {
    const { pgweir, pass } = await startStill({ server_lifetime: 30, default_pool_size: 2 })
    const [ada, bob] = [await pgweir.client(), await pgweir.client()]
    await Promise.all([ada.query('begin'), bob.query('begin')])
    const before = await pgweir.serverPids()
    pass(31)
    expect(await pgweir.serverPids()).toEqual(before)
    await Promise.all([ada.query('commit'), bob.query('commit')])
    expect((await pgweir.counts()).servers).toBe(1)
    pass(16)
    expect((await pgweir.counts()).servers).toBe(0)
    expect((await ada.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  test('after server_check_delay an idle server is checked before use, and is replaced if the check fails', async () => {
    const { pgweir, pass } = await startStill({ server_check_delay: 10, server_check_query: 'select 1/0' })
    const client = await pgweir.client()
    await client.query('select 1')
    const before = await pgweir.serverPids()
    await client.query('select 1')
    expect(await pgweir.serverPids()).toEqual(before)
    pass(11)
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect(await pgweir.serverPids()).not.toEqual(before)
    expect(pgweir.log.some((line) => line.includes('closing because: test query failed'))).toBe(true)
  })
})
