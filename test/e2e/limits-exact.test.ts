/** No limit is exceeded even for a moment as PostgreSQL counts: each new server counts all servers that exist when it begins. */

import { serialize } from 'pg-protocol'
import { beforeEach, expect, test } from 'vitest'
import { type Pgweir, type PgweirOptions, startPgweir, WORKERS } from '../support/e2e/pgweir.ts'
import { until } from '../support/e2e/until.ts'
import { adminClient, createDatabase, createRole, type TestRole } from '../support/postgres.ts'

const database = await createDatabase()
const second = await createRole()
const secrets = { [database.user]: database.password, [second.user]: second.password }

const admin = await adminClient()
await admin.query(`grant pg_monitor to ${database.user}, ${second.user}`)

const observer = await adminClient(database.database)
await observer.query(`
  create table seen (servers int);
  create function count_servers() returns void security definer language sql as $$
    insert into seen select count(*) from pg_stat_activity
    where datname = current_database() and usename in ('${database.user}', '${second.user}')
      and backend_start < statement_timestamp()
  $$`)

beforeEach(async () => {
  await until('no server is left', async () => (await connected()) === 0)
  await observer.query('truncate seen')
})

async function connected(): Promise<number> {
  const { rows } = await observer.query(
    'select count(*)::int as servers from pg_stat_activity where datname = current_database() and usename = any ($1)',
    [[database.user, second.user]],
  )
  return rows[0].servers
}

function start(settings: PgweirOptions['settings']): Promise<Pgweir> {
  return startPgweir({
    database,
    secrets,
    entry: `connect_query='select count_servers()'`,
    ...(settings && { settings }),
  })
}

async function seen(): Promise<{ servers: number; most: number }> {
  const { rows } = await observer.query('select count(*)::int as servers, max(servers)::int as most from seen')
  return rows[0]
}

/** Lets two clients of each user run queries without a pause. */
async function work(
  pgweir: Pgweir,
  rounds: number,
  { users = [database], between }: { users?: readonly TestRole[]; between?: (round: number) => void } = {},
): Promise<void> {
  const clients = await Promise.all([...users, ...users].map(({ user, password }) => pgweir.client({ user, password })))
  const working = clients.map(async (client) => {
    for (let round = 0; round < rounds; round++) {
      await client.query('select 1')
      between?.(round)
    }
  })
  await Promise.all(working)
}

test('PostgreSQL never counts more servers than allowed when each server is used only once', async () => {
  const pgweir = await start({ default_pool_size: 1, server_lifetime: 0 })
  await work(pgweir, 20)
  const { servers, most } = await seen()
  expect(servers).toBeGreaterThanOrEqual(40)
  expect(most).toBe(1)
})

test('PostgreSQL never counts more servers than allowed when servers are closed for another user', async () => {
  const pgweir = await start({ default_pool_size: 5, max_db_connections: 1 })
  await work(pgweir, 10, { users: [database, second] })
  const { servers, most } = await seen()
  expect(servers).toBeGreaterThan(1)
  expect(most).toBe(1)
})

test('PostgreSQL never counts more servers than allowed when clients disappear during a query or a transaction', async () => {
  const pgweir = await start({ default_pool_size: 1 })
  const texts = ['select pg_sleep(30)', 'begin', 'select generate_series(1, 10000000)', 'begin; select 1']
  for (const text of texts) {
    const client = await pgweir.raw()
    client.send(serialize.query(text))
    await until('it holds the server', async () => (await pgweir.counts()).leased === 1)
    client.vanish()
    await (await pgweir.client()).query('select 1')
  }
  const { servers, most } = await seen()
  expect(most).toBe(1)
  expect(pgweir.closings).toHaveLength(texts.length)
  // With several processes, a server cannot pass from a client to one in another process.
  if (WORKERS === 1) expect(servers).toBe(texts.length + 1)
})

test('PostgreSQL never counts more servers than allowed when the operator repeats RECONNECT', async () => {
  const pgweir = await start({ default_pool_size: 2 })
  await work(pgweir, 100, {
    between: (round) => {
      if (round % 5 === 0) void pgweir.fleet.control.reconnect(null)
    },
  })
  const { servers, most } = await seen()
  expect(servers).toBeGreaterThan(10)
  expect(most).toBeLessThanOrEqual(2)
})
