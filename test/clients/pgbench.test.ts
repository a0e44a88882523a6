/** pgbench: many clients on few servers, with every protocol that it supports. */

import type pg from 'pg'
import { expect, test } from 'vitest'
import { activity } from '../support/e2e/server-side.ts'
import { LONG_PATIENCE_MS, until } from '../support/e2e/until.ts'
import { adminClient, createDatabase, type TestDatabase } from '../support/postgres.ts'
import { type Pooled, type PoolOptions, poolOf } from './support/pgweir.ts'
import { run, type Target } from './support/program.ts'

const CLIENTS = 50
const SERVERS = 5
const EACH = 20

test('pgbench fills its tables through the pool', async () => {
  const database = await createDatabase()
  const { target } = await poolOf(database, { mode: 'transaction' })
  const { code, stderr } = await run('pgbench', ['-i', '-I', 'dtgvpf', '-s', '1'], target)
  expect(stderr).toContain('done in')
  expect(code).toBe(0)
  const admin = await adminClient(database.database)
  const { rows } = await admin.query('select count(*)::int, sum(bid)::int from pgbench_accounts')
  expect(rows).toEqual([{ count: 100_000, sum: 100_000 }])
})

for (const mode of ['transaction', 'session'] as const)
  test.each(['simple', 'extended', 'prepared'])(
    `${CLIENTS} clients on ${SERVERS} servers in ${mode} mode lose no transaction with %s queries`,
    async (protocol) => {
      const { database, target } = await prepare({ mode })
      const { processed, failed } = await bench(target, ['-M', protocol, '-t', `${EACH}`])
      expect({ processed, failed }).toEqual({ processed: CLIENTS * EACH, failed: 0 })
      await expectBooks(database, CLIENTS * EACH)
      expect((await activity(database)).length).toBeLessThanOrEqual(SERVERS + 1)
    },
  )

test.each(['extended', 'prepared'])(
  'pgbench pipelines of %s queries keep their servers and their order',
  async (protocol) => {
    const { database, target } = await prepare({ mode: 'transaction' })
    const { processed, failed } = await bench(target, ['-M', protocol, '-t', `${EACH}`, '-f', 'pgbench/pipeline.sql'])
    expect({ processed, failed }).toEqual({ processed: CLIENTS * EACH, failed: 0 })
    const admin = await adminClient(database.database)
    const { rows } = await admin.query(
      'select (select count(*) from pgbench_history)::int as entries, (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history) as fits',
    )
    expect(rows).toEqual([{ entries: CLIENTS * EACH, fits: true }])
  },
)

test('pgbench clients that reconnect for each transaction are served by the same few servers', async () => {
  const { pgweir, target } = await prepare({ mode: 'transaction' })
  const { processed, failed } = await bench(target, ['-C', '-S', '-t', '5'])
  expect({ processed, failed }).toEqual({ processed: CLIENTS * 5, failed: 0 })
  expect(pgweir.log.filter((line) => line.includes('new connection to server')).length).toBeLessThanOrEqual(SERVERS)
})

test('pgbench in statement mode reads with prepared statements', async () => {
  const { target } = await prepare({ mode: 'statement' })
  const { processed, failed } = await bench(target, ['-S', '-M', 'prepared', '-t', '50'])
  expect({ processed, failed }).toEqual({ processed: CLIENTS * 50, failed: 0 })
})

test('prepared statements of pgbench work with max_prepared_statements = 1', async () => {
  const { database, target } = await prepare({ mode: 'transaction', settings: { max_prepared_statements: 1 } })
  const { processed, failed } = await bench(target, ['-M', 'prepared', '-t', `${EACH}`])
  expect({ processed, failed }).toEqual({ processed: CLIENTS * EACH, failed: 0 })
  await expectBooks(database, CLIENTS * EACH)
})

test.each(['simple', 'extended', 'prepared'])('pgbench retries serialization failures (%s)', async (protocol) => {
  const { database, target } = await prepare({ mode: 'transaction' })
  const admin = await adminClient(database.database)
  await admin.query(`create table purses as select id, 100 as amount from generate_series(1, ${CLIENTS}) id`)
  await admin.query(`alter table purses owner to ${database.user}`)
  // As many transactions as there are servers have read all purses and changed one each before any of them may commit: the first commit makes
  // the others fail. A retry does not wait, and fails only if another transaction has succeeded meanwhile.
  await admin.query('select pg_advisory_lock(1)')
  const script = ['-f', 'pgbench/serializable.sql', '--max-tries=1000', '-t', '1']
  const [{ processed, failed, retried }] = await Promise.all([
    bench(target, ['-M', protocol, ...script]),
    until('all servers are within a transaction', () => areWaiting(admin, SERVERS), LONG_PATIENCE_MS).finally(() =>
      admin.query('select pg_advisory_unlock(1)'),
    ),
  ])
  expect({ processed, failed }).toEqual({ processed: CLIENTS, failed: 0 })
  expect(retried).toBeGreaterThanOrEqual(SERVERS - 1)
  const { rows } = await admin.query('select amount, count(*)::int as purses from purses group by amount')
  expect(rows).toEqual([{ amount: 101, purses: CLIENTS }])
})

async function areWaiting(admin: pg.Client, many: number): Promise<boolean> {
  const { rows } = await admin.query(
    `select 1 from pg_locks join pg_database on database = pg_database.oid
      where datname = current_database() and locktype = 'advisory' and not granted`,
  )
  return rows.length === many
}

async function prepare(options: PoolOptions): Promise<Pooled & { database: TestDatabase }> {
  const database = await createDatabase()
  const { code } = await run('pgbench', ['-i', '-q', '-I', 'dtgp', '-s', '1'], database)
  expect(code).toBe(0)
  return { ...(await poolOf(database, { size: SERVERS, ...options })), database }
}

interface Figures {
  readonly processed: number
  readonly failed: number
  readonly retried: number
}

async function bench(target: Target, args: readonly string[]): Promise<Figures> {
  // One thread per client, since pgbench blocks the whole thread while it prepares statements: a client that waits
  // for a server could wait for one that another client of the same thread holds.
  const { code, stdout, stderr } = await run('pgbench', ['-n', '-c', `${CLIENTS}`, '-j', `${CLIENTS}`, ...args], target)
  expect(stderr.replace(/^pgbench \(.*\n/, '')).toBe('')
  expect(code).toBe(0)
  const figure = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1] ?? 0)
  return {
    processed: figure(/transactions actually processed: (\d+)/),
    failed: figure(/failed transactions: (\d+)/),
    retried: figure(/transactions retried: (\d+)/),
  }
}

/** Expects the same sums in all tables of pgbench's own script. */
async function expectBooks({ database }: TestDatabase, transactions: number): Promise<void> {
  const admin = await adminClient(database)
  const { rows } = await admin.query(`
    select (select count(*) from pgbench_history)::int as transactions,
      array(select distinct sum from (values
        ((select sum(delta) from pgbench_history)), ((select sum(abalance) from pgbench_accounts)),
        ((select sum(tbalance) from pgbench_tellers)), ((select sum(bbalance) from pgbench_branches))) as sums(sum)
      ) as sums`)
  expect(rows).toEqual([{ transactions, sums: [expect.anything()] }])
}
