import type { Client } from 'pg'
import { serialize } from 'pg-protocol'
import { beforeEach, expect, test } from 'vitest'
import { sharedPgweir } from '../support/e2e/pgweir.ts'
import { failureOf } from '../support/e2e/until.ts'
import { adminClient, createDatabase } from '../support/postgres.ts'

const database = await createDatabase()
const admin = await adminClient(database.database)
await admin.query(`set role ${database.user}; create table accounts (name text primary key, balance int)`)

beforeEach(async () => {
  await admin.query(`truncate accounts; insert into accounts values ('ada', 100), ('bob', 50)`)
})

async function balances(client: Client): Promise<Record<string, number>> {
  const { rows } = await client.query<{ name: string; balance: number }>('select * from accounts order by name')
  return Object.fromEntries(rows.map(({ name, balance }) => [name, balance]))
}

async function pid(client: Client): Promise<number> {
  return (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid ?? 0
}

test('committed changes stay, rolled back ones do not, and uncommitted ones are not visible to other clients', async () => {
  const pgweir = await sharedPgweir({ database, settings: { default_pool_size: 2 } })
  const [ada, bob] = [await pgweir.client(), await pgweir.client()]
  await ada.query('begin')
  await ada.query(`update accounts set balance = balance - 30 where name = 'ada'`)
  expect([await balances(ada), await balances(bob)]).toEqual([
    { ada: 70, bob: 50 },
    { ada: 100, bob: 50 },
  ])
  await ada.query('commit')
  expect(await balances(bob)).toEqual({ ada: 70, bob: 50 })
  await ada.query('begin; delete from accounts')
  await ada.query('rollback')
  expect(await balances(bob)).toEqual({ ada: 70, bob: 50 })
})

test('a transaction has a server to itself, and other clients use the remaining ones', async () => {
  const pgweir = await sharedPgweir({ database, settings: { default_pool_size: 2 } })
  const ada = await pgweir.client()
  const [bob, eve] = (await pgweir.together(2, () => pgweir.client())) as [Client, Client]
  await ada.query('begin')
  const adas = await pid(ada)
  const others = [await pid(bob), await pid(eve), await pid(bob), await pid(eve)]
  expect(await pid(ada)).toBe(adas)
  expect(new Set(others).size).toBe(1)
  expect(others).not.toContain(adas)
  await ada.query('commit')
  expect((await pgweir.counts()).leased).toBe(0)
})

test('with savepoints, part of a transaction can fail or be rolled back', async () => {
  const pgweir = await sharedPgweir({ database })
  const client = await pgweir.client()
  await client.query('begin')
  await client.query(`update accounts set balance = 1 where name = 'ada'`)
  await client.query('savepoint one')
  expect(await failureOf(client.query(`insert into accounts values ('ada', 1)`))).toMatchObject({ code: '23505' })
  await client.query('rollback to savepoint one')
  await client.query('savepoint two')
  await client.query(`update accounts set balance = 2 where name = 'bob'`)
  await client.query('release savepoint two')
  await client.query('commit')
  expect(await balances(client)).toEqual({ ada: 1, bob: 2 })
})

test('a failed transaction refuses queries until it is rolled back, which COMMIT does too', async () => {
  const pgweir = await sharedPgweir({ database })
  const client = await pgweir.client()
  for (const end of ['rollback', 'commit', 'abort', 'end']) {
    await client.query('begin')
    await client.query(`delete from accounts where name = 'ada'`)
    await failureOf(client.query('select 1/0'))
    for (const values of [undefined, []])
      expect(await failureOf(client.query('select 1', values))).toMatchObject({ code: '25P02' })
    expect((await pgweir.counts()).leased).toBe(1)
    expect((await client.query(end)).command).toBe('ROLLBACK')
    expect((await pgweir.counts()).leased).toBe(0)
    expect(await balances(client)).toEqual({ ada: 100, bob: 50 })
  }
})

test('COMMIT AND CHAIN begins the next transaction on the same server', async () => {
  const pgweir = await sharedPgweir({ database })
  const client = await pgweir.raw()
  expect((await client.ask(serialize.query('begin isolation level repeatable read'))).at(-1)).toBe('ReadyForQuery T')
  expect((await client.ask(serialize.query('commit and chain'))).at(-1)).toBe('ReadyForQuery T')
  expect((await pgweir.counts()).leased).toBe(1)
  expect(await client.ask(serialize.query('show transaction_isolation'))).toContain('DataRow repeatable read')
  expect((await client.ask(serialize.query('rollback'))).at(-1)).toBe('ReadyForQuery I')
})

test('of two conflicting serializable transactions, one fails with 40001 and succeeds when retried', async () => {
  const pgweir = await sharedPgweir({ database, settings: { default_pool_size: 2 } })
  const [ada, bob] = [await pgweir.client(), await pgweir.client()]
  for (const client of [ada, bob]) {
    await client.query('begin isolation level serializable')
    await client.query('select sum(balance) from accounts')
  }
  await ada.query(`update accounts set balance = balance - 100 where name = 'ada'`)
  await bob.query(`update accounts set balance = balance - 50 where name = 'bob'`)
  await ada.query('commit')
  expect(await failureOf(bob.query('commit'))).toMatchObject({ code: '40001' })
  await bob.query('begin isolation level serializable')
  await bob.query(`update accounts set balance = balance - 50 where name = 'bob'`)
  await bob.query('commit')
  expect(await balances(ada)).toEqual({ ada: 0, bob: 0 })
})

test('repeatable read and read only apply to their transaction only', async () => {
  const pgweir = await sharedPgweir({ database, settings: { default_pool_size: 2 } })
  const [ada, bob] = [await pgweir.client(), await pgweir.client()]
  await ada.query('begin isolation level repeatable read read only')
  const before = await balances(ada)
  await bob.query(`update accounts set balance = 0`)
  expect(await balances(ada)).toEqual(before)
  await ada.query('commit')
  expect(await balances(ada)).toEqual({ ada: 0, bob: 0 })
  await ada.query('begin read only')
  expect(await failureOf(ada.query('delete from accounts'))).toMatchObject({ code: '25006' })
  await ada.query('rollback')
  expect((await ada.query('delete from accounts')).rowCount).toBe(2)
})

test('SET LOCAL, ON COMMIT DROP and transaction locks end with their transaction', async () => {
  const pgweir = await sharedPgweir({ database })
  const [ada, bob] = [await pgweir.client(), await pgweir.client()]
  await ada.query('begin')
  await ada.query(`set local work_mem = '7MB'`)
  await ada.query('create temp table draft (n int) on commit drop')
  await ada.query('select pg_advisory_xact_lock(42)')
  await ada.query('commit')
  expect((await bob.query('show work_mem')).rows).not.toEqual([{ work_mem: '7MB' }])
  expect((await bob.query(`select to_regclass('draft') as draft`)).rows).toEqual([{ draft: null }])
  expect((await bob.query('select pg_try_advisory_xact_lock(42) as free')).rows).toEqual([{ free: true }])
})

test('postgres.js can begin transactions, nest savepoints, and roll back by an exception', async () => {
  const pgweir = await sharedPgweir({ database })
  const sql = pgweir.sql()
  await sql.begin(async (transaction) => {
    await transaction`update accounts set balance = 1 where name = 'ada'`
    await transaction
      .savepoint(async (part) => {
        await part`update accounts set balance = 99 where name = 'bob'`
        throw new Error('changed my mind')
      })
      .catch(() => {})
  })
  await failureOf(
    sql.begin(async (transaction) => {
      await transaction`delete from accounts`
      throw new Error('no')
    }),
  )
  expect(await sql`select * from accounts order by name`).toEqual([
    { name: 'ada', balance: 1 },
    { name: 'bob', balance: 50 },
  ])
})
