import type { Client } from 'pg'
import { serialize } from 'pg-protocol'
import { describe, expect, test } from 'vitest'
import { sharedPgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()

async function pid(client: Client): Promise<number> {
  return (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid ?? 0
}

describe('session mode', () => {
  const settings = { pool_mode: 'session' }

  test('a client keeps its server, with all session state, until it disconnects', async () => {
    const pgweir = await startPgweir({ database, settings: { ...settings, default_pool_size: 2 } })
    const [ada, bob] = [await pgweir.client(), await pgweir.client()]
    const adas = await pid(ada)
    expect(await pid(bob)).not.toBe(adas)
    await ada.query(`set work_mem = '7MB'; create temp table mine (n int); prepare plus as select $1::int + 1 as n`)
    await ada.query('select pg_advisory_lock(7)')
    await ada.query('declare kept cursor with hold for select 5 as five')
    expect((await ada.query('show work_mem')).rows).toEqual([{ work_mem: '7MB' }])
    expect((await ada.query('execute plus(41)')).rows).toEqual([{ n: 42 }])
    expect((await ada.query('select * from mine')).rows).toEqual([])
    expect((await ada.query('fetch kept')).rows).toEqual([{ five: 5 }])
    expect((await ada.query(`select pg_advisory_unlock(7) as had`)).rows).toEqual([{ had: true }])
    expect(await pid(ada)).toBe(adas)
  })

  test('the next client gets the same server in a clean state', async () => {
    const pgweir = await sharedPgweir({ database, settings })
    const [ada, bob] = (await pgweir.together(2, () => pgweir.client())) as [Client, Client]
    const adas = await pid(ada)
    await ada.query(`set work_mem = '7MB'; set timezone = 'Asia/Tokyo'; create temp table mine (n int)`)
    await ada.query(`prepare plus as select 1; listen news; select pg_advisory_lock(7)`)
    await ada.query({ text: 'select 1', name: 'named' })
    await ada.end()
    expect(await pid(bob)).toBe(adas)
    const { rows } = await bob.query(`
      select to_regclass('mine') as mine, (select count(*)::int from pg_prepared_statements) as prepared,
        (select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
        (select count(*)::int from pg_listening_channels()) as channels,
        current_setting('work_mem') = '7MB' or current_setting('timezone') = 'Asia/Tokyo' as is_changed`)
    expect(rows).toEqual([{ mine: null, prepared: 0, locks: 0, channels: 0, is_changed: false }])
    expect((await bob.query({ text: 'select 2 as two', name: 'named' })).rows).toEqual([{ two: 2 }])
  })

  test('a client waits until another client disconnects, and is then served', async () => {
    const pgweir = await sharedPgweir({ database, settings })
    const [ada, bob] = [await pgweir.client(), await pgweir.client()]
    await pid(ada)
    const answer = bob.query('select 1 as one')
    await until('Bob waits', async () => (await pgweir.counts()).waiting === 1)
    expect((await ada.query('select 2 as two')).rows).toEqual([{ two: 2 }])
    await ada.end()
    expect((await answer).rows).toEqual([{ one: 1 }])
  })

  test('a client that disconnects in the middle of a transaction costs its server', async () => {
    const pgweir = await sharedPgweir({ database, settings })
    const ada = await pgweir.client()
    await ada.query('begin; create table never (n int)')
    const adas = await pid(ada)
    await ada.end()
    const bob = await pgweir.client()
    expect(await pid(bob)).not.toBe(adas)
    expect((await bob.query(`select to_regclass('never') as never`)).rows).toEqual([{ never: null }])
    expect(pgweir.log.some((line) => line.includes('client disconnect while server was not ready'))).toBe(true)
  })

  test('with an empty server_reset_query, nothing is reset', async () => {
    const pgweir = await startPgweir({ database, settings: { ...settings, server_reset_query: '' } })
    const [ada, bob] = (await pgweir.together(2, () => pgweir.client())) as [Client, Client]
    await ada.query(`set work_mem = '7MB'`)
    await ada.end()
    expect((await bob.query('show work_mem')).rows).toEqual([{ work_mem: '7MB' }])
  })

  test('a server whose reset fails is closed', async () => {
    const pgweir = await startPgweir({ database, settings: { ...settings, server_reset_query: 'select 1/0' } })
    const ada = await pgweir.client()
    const adas = await pid(ada)
    await ada.end()
    expect(await pid(await pgweir.client())).not.toBe(adas)
    expect(pgweir.log.some((line) => line.includes('closing because: reset query failed'))).toBe(true)
  })
})

describe('transaction mode', () => {
  test('clients whose queries do not overlap share one server', async () => {
    const pgweir = await sharedPgweir({ database })
    const clients = await pgweir.together(10, () => pgweir.client())
    const pids = await Promise.all(clients.map(pid))
    expect(new Set(pids).size).toBe(1)
    expect((await pgweir.counts()).servers).toBe(1)
  })

  test('a client waits until another client ends its transaction, and waiting clients are served in order', async () => {
    const pgweir = await sharedPgweir({ database })
    const [ada, ...others] = (await pgweir.together(6, () => pgweir.client())) as [Client, ...Client[]]
    await ada.query('begin')
    const served: number[] = []
    const answers: Promise<unknown>[] = []
    for (const [index, other] of others.entries()) {
      answers.push(other.query('select 1').then(() => served.push(index)))
      await until('it waits', async () => (await pgweir.counts()).waiting === index + 1)
    }
    await ada.query('select 2')
    expect(served).toEqual([])
    await ada.query('commit')
    await Promise.all(answers)
    expect(served).toEqual([0, 1, 2, 3, 4])
  })

  test('server_reset_query_always resets after each transaction', async () => {
    const pgweir = await startPgweir({ database, settings: { server_reset_query_always: 1 } })
    const client = await pgweir.client()
    await client.query(`set work_mem = '7MB'`)
    expect((await client.query('show work_mem')).rows).not.toEqual([{ work_mem: '7MB' }])
    const named = { text: 'select 3 as three', name: 'named' }
    for (let round = 0; round < 3; round++) expect((await client.query(named)).rows).toEqual([{ three: 3 }])
  })
})

describe('statement mode', () => {
  const settings = { pool_mode: 'statement' }

  test('single statements, prepared statements and several statements in one query work', async () => {
    const pgweir = await startPgweir({ database, settings })
    const client = await pgweir.client()
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    const named = { text: 'select $1::int as n', values: [7], name: 'named' }
    for (let round = 0; round < 3; round++) expect((await client.query(named)).rows).toEqual([{ n: 7 }])
    expect(await client.query('select 1; select 2')).toHaveLength(2)
    expect(await failureOf(client.query('select 1/0'))).toMatchObject({ code: '22012' })
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  test('a transaction block is refused, and the client and the server are disconnected', async () => {
    const pgweir = await startPgweir({ database, settings })
    const client = await pgweir.raw()
    expect(await client.ask(serialize.query('begin'))).toEqual([
      'CommandComplete BEGIN',
      'ErrorResponse FATAL 0A000 transaction blocks not allowed in statement pooling mode',
    ])
    expect((await pgweir.counts()).servers).toBe(0)
    expect((await (await pgweir.client()).query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })
})

test('the pool_mode of a user takes precedence over that of the database, and that over the general one', async () => {
  const pgweir = await startPgweir({
    database,
    entry: 'pool_mode=statement',
    settings: { pool_mode: 'transaction' },
    databases: [`plain = host=${database.host} port=${database.port} dbname=${database.database}`],
    users: [`${database.user} = pool_mode=session`],
  })
  await pgweir.client()
  expect((await pgweir.counts()).mode).toBe('session')
  const other = await startPgweir({
    database,
    entry: 'pool_mode=statement',
    settings: { pool_mode: 'transaction' },
    databases: [`plain = host=${database.host} port=${database.port} dbname=${database.database}`],
  })
  await other.client()
  await other.client({ database: 'plain' })
  expect([(await other.counts()).mode, (await other.counts('plain')).mode]).toEqual(['statement', 'transaction'])
})
