import type { Client } from 'pg'
import { describe, expect, test } from 'vitest'
import { type Pgweir, startPgweir, WORKERS } from '../support/e2e/pgweir.ts'
import { activity, untilNobodyIsConnected } from '../support/e2e/server-side.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { adminClient, createDatabase, createRole } from '../support/postgres.ts'

const database = await createDatabase()
const second = await createRole()
const secrets = { [database.user]: database.password, [second.user]: second.password }

const TOO_MANY = { code: '53300', severity: 'FATAL' }

async function connect(pgweir: Pgweir, count: number): Promise<Client[]> {
  return Promise.all(Array.from({ length: count }, () => pgweir.client()))
}

describe('limits on clients:', () => {
  test('max_client_conn refuses one more client until another disconnects', async () => {
    const pgweir = await startPgweir({ database, settings: { max_client_conn: 3 } })
    const [first] = await connect(pgweir, 3)
    for (let round = 0; round < 2; round++)
      expect(await failureOf(pgweir.client())).toMatchObject({
        ...TOO_MANY,
        message: 'no more connections allowed (max_client_conn)',
        hint: 'The setting is max_client_conn.',
      })
    await first?.end()
    await until('it is gone', async () => (await pgweir.connections()) === 2)
    expect((await (await pgweir.client()).query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  test('max_db_client_connections applies to each database, and may be set for one', async () => {
    const databases = [`other = host=${database.host} port=${database.port} max_db_client_connections=2`]
    const pgweir = await startPgweir({ database, databases, settings: { max_db_client_connections: 1 } })
    await pgweir.client()
    const refusal = { ...TOO_MANY, message: 'client connections exceeded (max_db_client_connections)' }
    expect(await failureOf(pgweir.client())).toMatchObject(refusal)
    expect((await pgweir.counts()).clients).toBe(1)
  })

  test('max_user_client_connections applies to each user, and may be set for one', async () => {
    const pgweir = await startPgweir({
      database,
      secrets,
      settings: { max_user_client_connections: 1 },
      users: [`${second.user} = max_user_client_connections=2`],
    })
    const refusal = { ...TOO_MANY, message: 'client connections exceeded (max_user_client_connections)' }
    const first = await pgweir.client()
    expect(await failureOf(pgweir.client())).toMatchObject(refusal)
    for (let round = 0; round < 2; round++) await pgweir.client(second)
    expect(await failureOf(pgweir.client(second))).toMatchObject(refusal)
    await first.end()
    await until('it is gone', async () => (await pgweir.connections()) === 2)
    await pgweir.client()
  })
})

describe('limits on servers:', () => {
  for (const [name, options] of Object.entries({
    default_pool_size: { settings: { default_pool_size: 3 } },
    'pool_size of the database': { entry: 'pool_size=3' },
    'pool_size of the user': { entry: 'pool_size=7', users: [`${database.user} = pool_size=3`] },
  }))
    test(`${name}: PostgreSQL never has more servers`, async () => {
      await untilNobodyIsConnected(database)
      const pgweir = await startPgweir({ database, ...options })
      const clients = await connect(pgweir, 10)
      let most = 0
      const work = clients.map(async (client) => {
        for (let round = 0; round < 5; round++) {
          await client.query('begin')
          most = Math.max(most, (await activity(database)).length)
          await client.query('commit')
        }
      })
      await Promise.all(work)
      expect(most).toBe(3)
      const { servers } = await pgweir.counts()
      // While a permit moves between workers, there is one server fewer for a moment.
      if (WORKERS === 1) expect(servers).toBe(3)
      else expect(servers).toBeLessThanOrEqual(3)
    })

  test('a pool without a limit opens a server for each transaction', async () => {
    const pgweir = await startPgweir({ database, settings: { default_pool_size: 0 } })
    const clients = await connect(pgweir, 12)
    await Promise.all(clients.map((client) => client.query('begin')))
    expect((await pgweir.counts()).leased).toBe(12)
    expect((await activity(database)).length).toBeGreaterThanOrEqual(12)
    await Promise.all(clients.map((client) => client.query('rollback')))
  })

  test('a single client opens one server; more are opened only while clients wait', async () => {
    const pgweir = await startPgweir({ database, settings: { default_pool_size: 10 } })
    const clients = await connect(pgweir, 10)
    for (const client of clients) await client.query('select 1')
    // The ten clients logged in at the same time, and each may have asked for a server in order to complete its login.
    expect((await pgweir.counts()).servers).toBeLessThanOrEqual(10)
    const alone = await startPgweir({ database, settings: { default_pool_size: 10 } })
    const client = await alone.client()
    for (let round = 0; round < 20; round++) await client.query('select 1')
    expect((await alone.counts()).servers).toBe(1)
  })

  test('min_pool_size: servers are opened as soon as there is a client', async () => {
    await untilNobodyIsConnected(database)
    const pgweir = await startPgweir({ database, settings: { default_pool_size: 5, min_pool_size: 3 } })
    await pgweir.client()
    await until('three are open', async () => (await pgweir.counts()).idle === 3)
    expect(await activity(database)).toHaveLength(3)
  })

  test('reserve_pool_size: more servers are opened while a client waits for too long', async () => {
    const settings = { default_pool_size: 1, reserve_pool_size: 2, reserve_pool_timeout: 0.01 }
    const pgweir = await startPgweir({ database, settings })
    const clients = await connect(pgweir, 4)
    for (const client of clients.slice(0, 3)) await client.query('begin')
    expect((await pgweir.counts()).servers).toBe(3)
    expect(pgweir.log.some((line) => line.includes('taking connection from reserve_pool HINT: '))).toBe(true)
    const answer = clients[3]?.query('select 1 as one')
    await until('the fourth waits', async () => (await pgweir.counts()).waiting === 1)
    expect((await pgweir.counts()).servers).toBe(3)
    await clients[1]?.query('commit')
    expect((await answer)?.rows).toEqual([{ one: 1 }])
    await Promise.all([clients[0]?.query('commit'), clients[2]?.query('commit')])
  })

  test('max_db_connections limits the users of a database together; an idle server is closed for another user', async () => {
    const settings = { default_pool_size: 5, max_db_connections: 2 }
    const pgweir = await startPgweir({ database, secrets, settings })
    const [ada, bob] = [await pgweir.client(), await pgweir.client(second)]
    const others = await connect(pgweir, 4)
    const total = async () => {
      const pools = await Promise.all([pgweir.counts(), pgweir.counts(database.database, second.user)])
      return pools.reduce((sum, { servers }) => sum + servers, 0)
    }
    const work = [ada, bob, ...others].map(async (client) => {
      for (let round = 0; round < 10; round++) {
        await client.query('begin')
        expect(await total()).toBeLessThanOrEqual(2)
        await client.query('commit')
      }
    })
    await Promise.all(work)
    // Evicted servers may take a moment to end.
    await until('PostgreSQL has no more servers either', async () => (await activity(database)).length <= 2)
    expect(pgweir.log.some((line) => line.includes('closing because: evicted'))).toBe(true)
  })

  test('max_user_connections limits the databases of a user together', async () => {
    const third = `${database.database}_also`
    const databases = [`${third} = host=${database.host} port=${database.port} dbname=${database.database}`]
    const settings = { default_pool_size: 5, max_user_connections: 1 }
    await untilNobodyIsConnected(database)
    const pgweir = await startPgweir({ database, databases, settings })
    const [here, there] = [await pgweir.client(), await pgweir.client({ database: third })]
    for (let round = 0; round < 3; round++) {
      await here.query('begin')
      const answer = there.query('select 1 as one')
      await until('it waits', async () => (await pgweir.counts(third)).waiting === 1)
      expect([(await pgweir.counts()).servers, (await pgweir.counts(third)).servers]).toEqual([1, 0])
      await here.query('commit')
      expect((await answer).rows).toEqual([{ one: 1 }])
    }
  })

  test('when PostgreSQL refuses more connections, clients share the servers that there are', async () => {
    const limited = await createRole({ attributes: 'connection limit 2' })
    const pgweir = await startPgweir({
      database,
      secrets: { [limited.user]: limited.password },
      settings: { default_pool_size: 5 },
    })
    const clients = await Promise.all(Array.from({ length: 6 }, () => pgweir.client(limited)))
    const work = clients.map(async (client, index) => {
      for (let round = 0; round < 5; round++)
        expect((await client.query('select $1::int as n, pg_sleep(0.001)', [index])).rows[0].n).toBe(index)
    })
    await Promise.all(work)
    const { servers, opening } = await pgweir.counts(database.database, limited.user)
    expect(servers - opening).toBeLessThanOrEqual(2)
    const admin = await adminClient()
    expect((await admin.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })
})
