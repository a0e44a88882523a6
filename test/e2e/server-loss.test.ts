import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serialize } from 'pg-protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { layCable } from '../support/e2e/cable.ts'
import { startPgweir } from '../support/e2e/pgweir.ts'
import { extended } from '../support/e2e/raw-client.ts'
import { terminate, untilRunning } from '../support/e2e/server-side.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { freePort } from '../support/free-port.ts'
import { createDatabase, type TestDatabase } from '../support/postgres.ts'

const database = await createDatabase()

const { query } = serialize

const TERMINATED = 'ErrorResponse FATAL 57P01 terminating connection due to administrator command'

describe('when one server is terminated', () => {
  for (const [name, message] of Object.entries({
    simple: query('select pg_sleep(60)'),
    extended: extended('select pg_sleep(60)'),
  }))
    test(`during a ${name} query, its client gets exactly that error, and other clients notice nothing`, async () => {
      const pgweir = await startPgweir({ database, settings: { default_pool_size: 2 } })
      const [client, other] = [await pgweir.raw(), await pgweir.client()]
      client.send(message)
      const pid = await untilRunning(database, 'pg_sleep(60)')
      const working = (async () => {
        for (let n = 0; n < 50; n++) expect((await other.query('select $1::int as n', [n])).rows).toEqual([{ n }])
      })()
      await terminate(pid)
      const lines = await client.rest()
      expect(lines.filter((line) => line.startsWith('ErrorResponse'))).toEqual([TERMINATED])
      expect(lines.at(-1)).toBe(TERMINATED)
      await working
      expect((await (await pgweir.client()).query('select 1 as one')).rows).toEqual([{ one: 1 }])
    })

  test('during an idle transaction, the client gets the error at once', async () => {
    const pgweir = await startPgweir({ database })
    const client = await pgweir.raw()
    await client.ask(query('begin'))
    await terminate((await pgweir.serverPids())[0] ?? 0)
    expect(await client.rest()).toEqual([TERMINATED])
    expect((await pgweir.counts()).servers).toBe(0)
  })

  test('in session mode, an idle client gets the error at once', async () => {
    const pgweir = await startPgweir({ database, settings: { pool_mode: 'session' } })
    const client = await pgweir.raw()
    await client.ask(query('select 1'))
    await terminate((await pgweir.serverPids())[0] ?? 0)
    expect(await client.rest()).toEqual([TERMINATED])
  })

  test('while it is idle, no client notices', async () => {
    const pgweir = await startPgweir({ database })
    const client = await pgweir.client()
    const named = { name: 'named', text: 'select 1 as one' }
    for (let round = 0; round < 3; round++) {
      expect((await client.query(named)).rows).toEqual([{ one: 1 }])
      const [pid] = await pgweir.serverPids()
      await terminate(pid ?? 0)
      await until('it is dropped', async () => !(await pgweir.serverPids()).includes(pid ?? 0))
    }
    expect(pgweir.log.filter((line) => line.includes('pooler error'))).toEqual([])
  })

  test('while other clients wait, they are served by the next server', async () => {
    const pgweir = await startPgweir({ database })
    const [client, other] = [await pgweir.raw(), await pgweir.client()]
    client.send(query('select pg_sleep(60)'))
    const pid = await untilRunning(database, 'pg_sleep(60)')
    const answer = other.query('select 1 as one')
    await until('the other one waits', async () => (await pgweir.counts()).waiting === 1)
    await terminate(pid)
    expect((await answer).rows).toEqual([{ one: 1 }])
  })
})

describe('when the connection to a server breaks', () => {
  test('in the middle of a row, the client gets the data so far and is disconnected', async () => {
    const cable = await layCable(database)
    const pgweir = await startPgweir({ database: { ...database, ...cable }, settings: { default_pool_size: 1 } })
    const [client, other] = [await pgweir.raw(), await pgweir.client()]
    await client.ask(query('select 1'))
    cable.cutAfter(50_000)
    client.send(query(`select repeat('x', 100000)`))
    // The pooler must not send an error into the middle of an incomplete row.
    expect(await client.rest()).toEqual(['RowDescription repeat:25'])
    cable.thaw()
    expect((await other.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  test('between two rows, the client gets an error', async () => {
    const cable = await layCable(database)
    const pgweir = await startPgweir({ database: { ...database, ...cable } })
    const client = await pgweir.raw()
    await client.ask(query('select 1'))
    client.send(query('select 1 as one, pg_sleep(60)'))
    await untilRunning(database, 'pg_sleep(60)')
    cable.cutAfter(0)
    await pgweir.cancel(client.cancelKey)
    expect((await client.rest()).at(-1)).toBe('ErrorResponse FATAL 08006 server conn crashed?')
    cable.thaw()
    expect((await (await pgweir.client()).query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })
})

describe('when PostgreSQL', () => {
  let directory = ''
  let running: EmbeddedPostgres | null = null

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'pgweir-e2e-data-'))
    // PostgreSQL may run as another user, who needs access to this directory.
    await chmod(directory, 0o755)
  })

  afterAll(async () => {
    await stop()
    await rm(directory, { recursive: true, force: true })
  })

  async function start(port: number): Promise<TestDatabase> {
    const dataDirectory = join(directory, 'data')
    running = await startEmbeddedPostgres({ superuser: 'postgres', password: 'secret', dataDirectory, port })
    return { ...running, database: 'postgres', url: '' }
  }

  async function stop(): Promise<void> {
    await running?.stop()
    running = null
  }

  test('stops and starts again, clients get its own error at once, and later queries work again', async () => {
    const here = await start(await freePort())
    const pgweir = await startPgweir({ database: here, settings: { default_pool_size: 3, server_login_retry: 0.1 } })
    const [idle, busy, inside] = [await pgweir.client(), await pgweir.raw(), await pgweir.raw()]
    busy.send(query('select pg_sleep(60)'))
    await inside.ask(query('begin'))
    await until('the query runs', async () => (await pgweir.counts()).leased === 2)
    await stop()
    expect((await busy.rest()).at(-1)).toBe(TERMINATED)
    expect(await inside.rest()).toEqual([TERMINATED])

    const startedMs = performance.now()
    const failure = await failureOf<{ code: string; message: string }>(idle.query('select 1'))
    expect(failure.code).toBe('08006')
    expect(failure.message).toMatch(
      /^server login has been failing, cached error: connect to .* failed: .*ECONNREFUSED.* \(server_login_retry\)$/,
    )
    expect(performance.now() - startedMs).toBeLessThan(5_000)
    // A new client can log in, since the welcome is known, and its query fails as early.
    const late = await pgweir.client()
    expect(await failureOf(late.query('select 1'))).toMatchObject({ code: '08006' })

    await start(here.port)
    await until('it works again', async () => {
      const client = await pgweir.client()
      return client.query('select 1 as one').then(
        ({ rows }) => rows[0].one === 1,
        () => false,
      )
    })
    expect((await pgweir.counts()).servers).toBeGreaterThan(0)
  })

  test('is down when the pooler starts, the first client gets the reason, and a later client is served', async () => {
    await stop()
    const here = await start(await freePort())
    await stop()
    const pgweir = await startPgweir({ database: here, settings: { server_login_retry: 0.1 } })
    expect(await failureOf(pgweir.client())).toMatchObject({ code: '08006', severity: 'FATAL' })
    await start(here.port)
    await until('clients can log in', () =>
      pgweir.client().then(
        () => true,
        () => false,
      ),
    )
  })
})
