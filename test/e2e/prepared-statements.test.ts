import type { Client } from 'pg'
import { beforeEach, describe, expect, test } from 'vitest'
import { type Pgweir, startPgweir, WORKERS } from '../support/e2e/pgweir.ts'
import { failureOf } from '../support/e2e/until.ts'
import { adminClient, createDatabase } from '../support/postgres.ts'

const database = await createDatabase()
const admin = await adminClient(database.database)

beforeEach(async () => {
  await admin.query(`drop owned by ${database.user}; grant all on schema public to ${database.user}`)
})

/** How many statements are prepared on the server that `client` gets. */
async function preparedOnServer(client: Client): Promise<number> {
  const { rows } = await client.query<{ n: number }>('select count(*)::int as n from pg_prepared_statements')
  return rows[0]?.n ?? -1
}

describe('prepared statements of node-postgres', () => {
  test('follow their client to any server', async () => {
    const oneProcess = 'clients of other processes take no servers from this process while there are enough'
    const pgweir = await startPgweir({ database, settings: { default_pool_size: 3 }, oneProcess })
    const client = await pgweir.client()
    const blockers = [await pgweir.client(), await pgweir.client()]
    const named = { name: 'add', text: 'select $1::int + 1 as n, pg_backend_pid() as pid', values: [1] }
    const pids = new Set<number>()
    for (let round = 0; round < 3; round++) {
      const { rows } = await client.query(named)
      expect(rows[0].n).toBe(2)
      pids.add(rows[0].pid)
      // Occupies the server that has the statement.
      await blockers[round]?.query('begin')
    }
    expect(pids.size).toBe(3)
    for (const blocker of blockers) await blocker.query('rollback')
  })

  test('may have the same names for different texts, and different names for the same text', async () => {
    const pgweir = await startPgweir({ database, settings: { default_pool_size: 3 } })
    const clients = await Promise.all(Array.from({ length: 15 }, () => pgweir.client()))
    for (let round = 0; round < 10; round++) {
      const answers = clients.map(async (client, index) => {
        const own = await client.query({ name: 'own', text: `select ${index} as n, $1::int as r`, values: [round] })
        expect(own.rows).toEqual([{ n: index, r: round }])
        const shared = await client.query({
          name: `shared ${index}`,
          text: 'select $1::text as t',
          values: [`${index}/${round}`],
        })
        expect(shared.rows).toEqual([{ t: `${index}/${round}` }])
      })
      await Promise.all(answers)
    }
    // Each text is parsed once per server on which it is used, not once per client. With several processes, servers come and go.
    if (WORKERS > 1) return
    const { clientParses, serverParses, binds } = await pgweir.totals()
    expect(clientParses).toBe(15 * 2)
    expect(serverParses).toBeLessThanOrEqual(3 * 16)
    expect(serverParses).toBeGreaterThanOrEqual(16)
    expect(binds).toBe(15 * 2 * 10)
  })

  test('are limited to max_prepared_statements on a server, which closes the least recently used one', async () => {
    const pgweir = await startPgweir({ database, settings: { max_prepared_statements: 3 } })
    const client = await pgweir.client()
    const ask = async (n: number) => {
      const { rows } = await client.query({ name: `statement ${n}`, text: `select ${n} as n` })
      expect(rows).toEqual([{ n }])
    }
    for (let round = 0; round < 3; round++) for (let n = 0; n < 8; n++) await ask(n)
    expect(await preparedOnServer(client)).toBe(3)
    const serverParses = async () => (await pgweir.totals()).serverParses
    expect(await serverParses()).toBe(24)
    // 5, 6 and 7 are prepared. 5 is used again, so 6 is the least recently used when 0 comes.
    await ask(5)
    await ask(0)
    await ask(7)
    await ask(5)
    expect(await serverParses()).toBe(25)
    await ask(6)
    expect(await serverParses()).toBe(26)
  })

  test('can reuse a name after an error', async () => {
    const pgweir = await startPgweir({ database })
    const client = await pgweir.client()
    expect(await failureOf(client.query({ name: 'late', text: 'select n from later' }))).toMatchObject({
      code: '42P01',
    })
    await client.query('create table later (n int)')
    await client.query('insert into later values (9)')
    expect((await client.query({ name: 'late', text: 'select n from later' })).rows).toEqual([{ n: 9 }])
  })

  test('are not affected by DEALLOCATE ALL and DISCARD ALL of another client', async () => {
    const pgweir = await startPgweir({ database })
    const [ada, bob] = [await pgweir.client(), await pgweir.client()]
    for (const command of ['deallocate all', 'discard all']) {
      const named = { name: command, text: `select 'kept' as word` }
      await bob.query(named)
      await ada.query(command)
      expect(await preparedOnServer(ada)).toBe(0)
      expect((await bob.query(named)).rows).toEqual([{ word: 'kept' }])
    }
  })

  test('no longer exist after the client’s own DEALLOCATE ALL, as in PostgreSQL', async () => {
    const pgweir = await startPgweir({ database })
    const client = await pgweir.client()
    const named = { name: 'mine', text: 'select 1 as one' }
    await client.query(named)
    await client.query('deallocate all')
    // The driver does not notice DEALLOCATE ALL and does not prepare again.
    expect(await failureOf(client.query(named))).toMatchObject({
      code: '26000',
      message: 'prepared statement "mine" does not exist',
    })
    expect((await client.query('select 2 as two')).rows).toEqual([{ two: 2 }])
  })

  test('with the same text refer to the tables in each client’s search_path', async () => {
    const pgweir = await startPgweir({ database })
    await admin.query(`
      set role ${database.user};
      create schema north; create table north.words (word text); insert into north.words values ('north');
      create schema south; create table south.words (word text, n int); insert into south.words values ('south', 1);
      reset role`)
    const named = { name: 'words', text: 'select * from words' }
    const north = await pgweir.client({ options: '-c search_path=north' })
    const south = await pgweir.client({ options: '-c search_path=south' })
    const moving = await pgweir.client()
    for (let round = 0; round < 3; round++) {
      expect((await north.query(named)).rows).toEqual([{ word: 'north' }])
      expect((await south.query(named)).rows).toEqual([{ word: 'south', n: 1 }])
      await moving.query(`set search_path = ${round % 2 ? 'north' : 'south'}`)
      expect((await moving.query({ ...named, name: `words ${round}` })).rows).toEqual(
        round % 2 ? [{ word: 'north' }] : [{ word: 'south', n: 1 }],
      )
    }
  })

  test('keep their names with max_prepared_statements = 0', async () => {
    const pgweir = await startPgweir({ database, settings: { max_prepared_statements: 0 } })
    const client = await pgweir.client()
    await client.query({ name: 'bare', text: 'select 1 as one' })
    const { rows } = await client.query('select name from pg_prepared_statements')
    expect(rows).toEqual([{ name: 'bare' }])
  })
})

describe('prepared statements of postgres.js', () => {
  test('work for ten connections that share three servers', async () => {
    const pgweir = await startPgweir({ database, settings: { default_pool_size: 3 } })
    const sql = pgweir.sql({ max: 10 })
    const questions = Array.from({ length: 300 }, async (_, n) => {
      const rows = n % 2 ? await sql`select ${n}::int as n` : await sql`select ${`${n}`} as text, ${n % 7}::int as n`
      expect(rows).toEqual(n % 2 ? [{ n }] : [{ text: `${n}`, n: n % 7 }])
    })
    await Promise.all(questions)
    const { servers } = await pgweir.counts()
    expect(servers).toBeLessThanOrEqual(3)
    // With several processes, a permit may be moving from one to another.
    if (WORKERS === 1) expect(servers).toBe(3)
  })

  test('are not affected by another statement that fails', async () => {
    const pgweir = await startPgweir({ database })
    const sql = pgweir.sql()
    for (let round = 0; round < 5; round++) {
      expect(await failureOf(sql`select ${1}::int / ${0}::int as q`)).toMatchObject({ code: '22012' })
      expect(await failureOf(sql`select nothing from nowhere`)).toMatchObject({ code: '42P01' })
      expect(await sql`select ${round}::int as n`).toEqual([{ n: round }])
    }
  })
})

/** Statements on a table that a client of the pooler changes. */
const WRITES = { name: 'write', text: 'insert into things values ($1) returning *' }
const READS = { name: 'read', text: 'select * from things' }

const AGENTS: Readonly<Record<string, (pgweir: Pgweir) => Promise<(change: string) => Promise<unknown>>>> = {
  'the same client': async () => async () => {},
  'another client': async (pgweir) => {
    const other = await pgweir.client()
    return (change) => other.query(change)
  },
}

for (const [name, prepare] of Object.entries(AGENTS))
  describe(`prepared statements, when tables are changed by ${name}`, () => {
    test('work with a table that is recreated with a column of another type', async () => {
      const pgweir = await startPgweir({ database, settings: { default_pool_size: 2 } })
      const client = await pgweir.client()
      const other = await prepare(pgweir)
      const change = name === 'the same client' ? (text: string) => client.query(text) : other
      const sql = pgweir.sql()
      await change('create table things (thing int)')
      expect((await client.query({ ...WRITES, values: [7] })).rows).toEqual([{ thing: 7 }])
      expect(await sql`insert into things values (${8}) returning *`).toEqual([{ thing: 8 }])
      await change('drop table things')
      await change('create table things (thing text)')
      // A new client, and the old one with a new name, must see the new type.
      const late = await pgweir.client()
      expect((await late.query({ ...WRITES, values: ['seven'] })).rows).toEqual([{ thing: 'seven' }])
      expect((await client.query({ ...WRITES, name: 'again', values: ['eight'] })).rows).toEqual([{ thing: 'eight' }])
      const lateSql = pgweir.sql()
      expect(await lateSql`insert into things values (${'nine'}) returning *`).toEqual([{ thing: 'nine' }])
      // A client that uses the old name gets the new type, too.
      expect((await client.query({ ...WRITES, values: ['ten'] })).rows).toEqual([{ thing: 'ten' }])
    })

    test('work again after a column is added, at most after "cached plan must not change result type"', async () => {
      const pgweir = await startPgweir({ database })
      const client = await pgweir.client()
      const other = await prepare(pgweir)
      const change = name === 'the same client' ? (text: string) => client.query(text) : other
      const sql = pgweir.sql()
      await change('create table things (a int); insert into things values (1)')
      for (let round = 0; round < 2; round++) {
        expect((await client.query(READS)).rows).toEqual([{ a: 1 }])
        expect(await sql`select * from things`).toEqual([{ a: 1 }])
      }
      await change('alter table things add b text')
      for (let round = 0; round < 2; round++) {
        expect((await client.query(READS)).rows).toEqual([{ a: 1, b: null }])
        expect(await sql`select * from things`).toEqual([{ a: 1, b: null }])
      }
    })

    test('work after a change that is rolled back', async () => {
      const pgweir = await startPgweir({ database })
      const client = await pgweir.client()
      await client.query('create table things (a int); insert into things values (1)')
      expect((await client.query(READS)).rows).toEqual([{ a: 1 }])
      const changing = name === 'the same client' ? client : await pgweir.client()
      await changing.query('begin; alter table things add b text')
      expect((await changing.query(READS)).rows).toEqual([{ a: 1, b: null }])
      await changing.query('rollback')
      for (let round = 0; round < 2; round++) {
        expect((await client.query(READS)).rows).toEqual([{ a: 1 }])
        expect((await changing.query(READS)).rows).toEqual([{ a: 1 }])
      }
    })
  })

test('a schema change that the pooler cannot see causes one error, as without pgweir, and is then known', async () => {
  // With one server and several processes, its permit would move between processes, and each new server would know the change.
  const pgweir = await startPgweir({ database, settings: { default_pool_size: 3 } })
  const client = await pgweir.client()
  const sql = pgweir.sql()
  await client.query('create table things (a int); insert into things values (1)')
  await client.query(READS)
  await sql`select * from things`
  await admin.query('alter table things add b text')
  expect(await failureOf(client.query(READS))).toMatchObject({
    code: '0A000',
    message: 'cached plan must not change result type',
  })
  expect((await client.query(READS)).rows).toEqual([{ a: 1, b: null }])
  // postgres.js retries by itself.
  expect(await sql`select * from things`).toEqual([{ a: 1, b: null }])
})
