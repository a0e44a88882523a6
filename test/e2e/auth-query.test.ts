/** Users that are not in auth_file are looked up in Postgres. */

import { describe, expect, test } from 'vitest'
import { startPgweir } from '../support/e2e/pgweir.ts'
import { failureOf } from '../support/e2e/until.ts'
import { adminClient, createDatabase, createRole } from '../support/postgres.ts'

const database = await createDatabase()
const other = await createDatabase()
const admin = await adminClient(database.database)
const stranger = await createRole()
/** The auth_user: its secret is in auth_file, and it may look up the secrets of other users. */
const asker = await createRole()

await admin.query(`
  create sequence asked;
  create function secret_of(text) returns table (name text, secret text) language plpgsql security definer as $$
  begin
    perform nextval('asked');
    return query select rolname::text, rolpassword from pg_authid where rolname = $1 and rolcanlogin;
  end $$`)

const QUERY = 'select * from public.secret_of($1)'
const settings = {
  auth_type: 'scram-sha-256',
  auth_user: asker.user,
  auth_query: QUERY,
  auth_query_lifetime: 1000,
  default_pool_size: 2,
}
const secrets = { [asker.user]: asker.password }
const options = { database, secrets, settings }

async function timesAsked(): Promise<number> {
  const { rows } = await admin.query('select case when is_called then last_value else 0 end::int as times from asked')
  return rows[0].times
}

test('a user who is not in auth_file logs in with its password in Postgres, which is also used for servers', async () => {
  const pgweir = await startPgweir(options)
  const client = await pgweir.client(stranger)
  expect((await client.query('select current_user as me')).rows).toEqual([{ me: stranger.user }])
  expect(await pgweir.pools()).toContain(`${database.database}/${asker.user}`)
})

describe('with auth_query, a client is refused', () => {
  test('in the same way for a wrong password and for an unknown user', async () => {
    const pgweir = await startPgweir(options)
    const wrong = await failureOf<{ code: string; message: string }>(pgweir.client({ ...stranger, password: 'wrong' }))
    const unknown = await failureOf<{ code: string; message: string }>(pgweir.client({ user: 'nobody', password: 'x' }))
    expect(wrong).toMatchObject({ code: '28P01' })
    expect(unknown.message).toBe(wrong.message)
  })

  test('if its password is null', async () => {
    const pgweir = await startPgweir({ ...options, settings: { ...settings, auth_query: 'select $1::text, null' } })
    expect(await failureOf(pgweir.client({ ...stranger, password: 'null' }))).toMatchObject({ code: '28P01' })
  })

  for (const [what, query, reason] of [
    ['fails', 'select name, secret from nowhere where name = $1', 'relation "nowhere" does not exist'],
    ['has one column', 'select $1::text', 'the result has 1 columns instead of two (name and secret)'],
    ['changes nothing but fails later', 'select $1::text, (1 / (length($1) - length($1)))::text', 'division by zero'],
  ] as const)
    test(`if the query ${what}, which is logged and does not affect other users`, async () => {
      const pgweir = await startPgweir({ ...options, settings: { ...settings, auth_query: query } })
      expect(await failureOf(pgweir.client(stranger))).toMatchObject({ code: 'F0000', message: 'bouncer config error' })
      expect(pgweir.log.some((line) => line.includes('auth_query') && line.includes(reason))).toBe(true)
      const known = await pgweir.client(asker)
      expect((await known.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    })

  test('if the auth_user cannot log in', async () => {
    const pgweir = await startPgweir({ ...options, secrets: { [asker.user]: 'wrong' } })
    expect(await failureOf(pgweir.client(stranger))).toMatchObject({ code: 'F0000' })
  })
})

describe('an answer to auth_query', () => {
  // Each process has its own cache.
  const oneProcess = 'the number of lookups in Postgres is counted'

  test('is cached for a while, and used for all clients that log in at the same time', async () => {
    const pgweir = await startPgweir({ ...options, oneProcess })
    const before = await timesAsked()
    const clients = await Promise.all(Array.from({ length: 5 }, () => pgweir.client(stranger)))
    expect(clients).toHaveLength(5)
    await pgweir.client(stranger)
    expect((await timesAsked()) - before).toBe(1)
  })

  test('is not cached with auth_query_lifetime = 0', async () => {
    const pgweir = await startPgweir({ ...options, settings: { ...settings, auth_query_lifetime: 0 }, oneProcess })
    const before = await timesAsked()
    for (let login = 0; login < 3; login++) await (await pgweir.client(stranger)).end()
    expect((await timesAsked()) - before).toBe(3)
  })

  test('that is out of date makes one login fail', async () => {
    const pgweir = await startPgweir({ ...options, oneProcess })
    const changing = await createRole()
    await (await pgweir.client(changing)).end()
    const changed = { ...changing, password: 'another one' }
    await admin.query(`alter role ${changing.user} password 'another one'`)
    expect(await failureOf(pgweir.client(changed))).toMatchObject({ code: '28P01' })
    const client = await pgweir.client(changed)
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })
})

for (const type of ['plain', 'md5', 'trust'] as const)
  test(`auth_query works with auth_type = ${type}`, async () => {
    const role = await createRole(type === 'plain' ? {} : { method: type })
    const pgweir = await startPgweir({ ...options, settings: { ...settings, auth_type: type } })
    const client = await pgweir.client(role)
    expect((await client.query('select current_user as me')).rows).toEqual([{ me: role.user }])
  })

test('auth_query may run in another database (auth_dbname), and may differ per database', async () => {
  const pgweir = await startPgweir({
    ...options,
    settings: { ...settings, auth_query: 'select nothing', auth_dbname: 'postgres', stats_users: stranger.user },
    entry: `auth_query='${QUERY}' auth_dbname=${database.database}`,
    databases: [
      `other = host=${other.host} port=${other.port} dbname=${other.database} auth_query='${QUERY}' auth_dbname=${database.database}`,
      `neither = host=${other.host} port=${other.port} dbname=${other.database}`,
    ],
  })
  expect(await pgweir.client(stranger)).toBeDefined()
  expect(await pgweir.client({ ...stranger, database: 'other' })).toBeDefined()
  expect(await failureOf(pgweir.client({ ...stranger, database: 'neither' }))).toMatchObject({ code: 'F0000' })
})

test('auth_query works for the console if auth_dbname names a database', async () => {
  const stats = { ...settings, stats_users: stranger.user }
  const without = await startPgweir({ ...options, settings: stats })
  const toConsole = { ...stranger, database: 'pgbouncer' }
  expect(await failureOf(without.client(toConsole))).toMatchObject({ code: '28P01' })
  const pgweir = await startPgweir({ ...options, settings: { ...stats, auth_dbname: database.database } })
  const root = await pgweir.client(toConsole)
  expect((await root.query('show version')).rows).toHaveLength(1)
})

test('a client cannot change the meaning of auth_query, even if it shares the servers of the auth_user', async () => {
  const shared = { ...settings, auth_query: 'select * from secret_of($1)', default_pool_size: 1 }
  const entry = `user=${asker.user} password=${asker.password}`
  await admin.query(`create schema trap; grant all on schema trap to ${asker.user}`)
  const pgweir = await startPgweir({ ...options, settings: shared, entry })
  const client = await pgweir.client(stranger)
  await client.query(`create function trap.secret_of(text) returns table (name text, secret text)
    language sql as $$ select $1, 'known'::text $$`)
  await client.query('set search_path to trap, public')
  const victim = await createRole()
  expect(await failureOf(pgweir.client({ ...victim, password: 'known' }))).toMatchObject({ code: '28P01' })
  expect(await pgweir.client(victim)).toBeDefined()
  await admin.query('drop schema trap cascade')
})

describe('the owner of a database cannot act with the rights of the auth_user', () => {
  for (const [what, query] of [
    ['the default auth_query', {}],
    ['a query without schemas', { auth_query: 'select usename, passwd from pg_shadow where usename = $1' }],
  ] as const)
    test(`by replacing what ${what} names`, async () => {
      const superuser = await createRole()
      const [owner, itsDatabase] = [await createRole(), await createDatabase()]
      await admin.query(`alter role ${superuser.user} superuser`)
      const inside = await adminClient(itsDatabase.database)
      await inside.query(`
        create schema trap authorization ${owner.user};
        alter database ${itsDatabase.database} set search_path to trap, pg_catalog;
        set role ${owner.user};
        create table trap.sprung ();
        grant select on trap.sprung to public;
        create function trap.now() returns timestamptz language plpgsql as $$
          begin drop table trap.sprung; return pg_catalog.now(); end $$;
        create view trap.pg_shadow as select 'x' as usename, trap.now()::text as passwd;
        reset role`)
      const { auth_query: _, ...others } = settings
      const pgweir = await startPgweir({
        database: itsDatabase,
        secrets: { [superuser.user]: superuser.password },
        settings: { ...others, ...query, auth_user: superuser.user },
      })
      await pgweir.client(stranger)
      const { rows } = await inside.query(`select to_regclass('trap.sprung') is null as "isSprung"`)
      expect(rows).toEqual([{ isSprung: false }])
    })
})
