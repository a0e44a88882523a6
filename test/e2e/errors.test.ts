import type { DatabaseError } from 'pg'
import { serialize } from 'pg-protocol'
import { expect, test } from 'vitest'
import { sharedPgweir } from '../support/e2e/pgweir.ts'
import { extended } from '../support/e2e/raw-client.ts'
import { failureOf } from '../support/e2e/until.ts'
import { adminClient, createDatabase } from '../support/postgres.ts'

const database = await createDatabase()

const admin = await adminClient(database.database)
await admin.query(`
  set role ${database.user};
  create table parents (id int primary key, name text not null check (name <> 'bad'));
  create table children (parent int references parents deferrable initially deferred);
  create function outer_one() returns int language plpgsql as $$ begin return (select 1/0); end $$;
`)

const MISTAKES: Readonly<Record<string, string>> = {
  'a syntax error with its position': 'select 1 fromm nowhere',
  'an unknown column with a hint': 'select nam from parents',
  'a constraint with its names': `insert into parents values (1, 'bad')`,
  'a null with its row': 'insert into parents values (2, null)',
  'an error from within a function with its context': 'select outer_one()',
  'an error with every field that can be raised': `do $$ begin raise exception using errcode = 'XY123', message = 'm',
    detail = 'd', hint = 'h', column = 'c', constraint = 'k', datatype = 't', table = 'b', schema = 's'; end $$`,
  'a text that is not English': `do $$ begin raise exception 'schöner Fehler 🐘'; end $$`,
  'a missing privilege': 'select * from pg_authid',
}

for (const [name, sql] of Object.entries(MISTAKES))
  test(`${name} arrives as PostgreSQL sent it, and the connection stays usable`, async () => {
    const pgweir = await sharedPgweir({ database })
    const pooled = await pgweir.client()
    const direct = await pgweir.client({ port: database.port })
    for (const values of [undefined, []]) {
      const got = await failureOf<DatabaseError>(pooled.query(sql, values))
      const expected = await failureOf<DatabaseError>(direct.query(sql, values))
      expect(expected.code).toMatch(/^\w{5}$/)
      expect({ ...got, message: got.message }).toEqual({ ...expected, message: expected.message })
      expect((await pooled.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    }
    expect((await pgweir.counts()).servers).toBe(1)
  })

test('an error after some rows arrives after those rows', async () => {
  const pgweir = await sharedPgweir({ database })
  const client = await pgweir.raw()
  const sql = 'select 1/(3 - n) as q from generate_series(1, 5) n'
  const rows = ['DataRow 0', 'DataRow 1', 'ErrorResponse 22012 division by zero', 'ReadyForQuery I']
  expect(await client.ask(serialize.query(sql))).toEqual(['RowDescription q:23', ...rows])
  expect(await client.ask(extended(sql))).toEqual(['ParseComplete', 'BindComplete', ...rows])
})

test('of several statements in one query, those after an error do not run', async () => {
  const pgweir = await sharedPgweir({ database })
  const client = await pgweir.client()
  const failure = await failureOf<DatabaseError>(
    client.query(`insert into parents values (10, 'x'); select 1/0; insert into parents values (11, 'y')`),
  )
  expect(failure.code).toBe('22012')
  expect((await client.query('select count(*)::int from parents where id in (10, 11)')).rows).toEqual([{ count: 0 }])
})

test('an error at the end of the implicit transaction arrives in its place', async () => {
  const pgweir = await sharedPgweir({ database })
  const client = await pgweir.raw()
  const error =
    'ErrorResponse 23503 insert or update on table "children" violates foreign key constraint "children_parent_fkey"'
  const sql = 'insert into children values (99)'
  expect(await client.ask(serialize.query(sql))).toEqual([error, 'ReadyForQuery I'])
  expect(await client.ask(extended(sql))).toEqual([
    'ParseComplete',
    'BindComplete',
    'CommandComplete INSERT 0 1',
    error,
    'ReadyForQuery I',
  ])
  expect(await client.ask(serialize.query('select 1 as one'))).toContain('DataRow 1')
})

test('an error message of a megabyte arrives, and the connection stays usable', async () => {
  const pgweir = await sharedPgweir({ database })
  const client = await pgweir.client()
  for (const values of [undefined, []]) {
    const sql = `do $$ begin raise exception '%', repeat('x', 1000000); end $$`
    const failure = await failureOf<DatabaseError>(client.query(sql, values))
    expect([failure.code, failure.message.length]).toEqual(['P0001', 1_000_000])
    expect((await client.query('select $1::int as n', [5])).rows).toEqual([{ n: 5 }])
  }
})

test('PostgreSQL’s statement_timeout ends the statement, not the connection', async () => {
  const pgweir = await sharedPgweir({ database })
  const client = await pgweir.client()
  await client.query('begin')
  await client.query(`set local statement_timeout = '300ms'`)
  expect(await failureOf(client.query('select pg_sleep(60)'))).toMatchObject({
    code: '57014',
    message: 'canceling statement due to statement timeout',
  })
  await client.query('rollback')
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
})
