/** The console as operators and their tools use it: with real drivers, next to real clients and a real PostgreSQL. */

import type pg from 'pg'
import Cursor from 'pg-cursor'
import { serialize } from 'pg-protocol'
import { describe, expect, test } from 'vitest'
import { type Pgweir, sharedPgweir, startPgweir, WORKERS } from '../support/e2e/pgweir.ts'
import { untilRunning } from '../support/e2e/server-side.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { adminClient, createDatabase } from '../support/postgres.ts'

const database = await createDatabase()
const SECRETS = { [database.user]: database.password, root: 'r', stats: 's', nobody: 'n' }

type Row = Record<string, unknown>

function start(settings: Record<string, string | number> = {}): Promise<Pgweir> {
  return startPgweir(options(settings))
}

function options(settings: Record<string, string | number> = {}) {
  return {
    database,
    secrets: SECRETS,
    settings: { admin_users: 'root', stats_users: 'stats', ...settings },
  }
}

function console(pgweir: Pgweir, user = 'root', name = 'pgweir'): Promise<pg.Client> {
  return pgweir.client({ database: name, user, password: 'x' })
}

async function show(client: pg.Client, topic: string): Promise<Row[]> {
  return (await client.query<Row>(`show ${topic}`)).rows
}

/** The cast is needed because @types/pg lacks these options. */
function extended(text: string, options: { readonly binary?: boolean } = {}): pg.QueryConfig {
  return { text, queryMode: 'extended', ...options } as pg.QueryConfig
}

async function poolRow(client: pg.Client): Promise<Row> {
  const rows = await show(client, 'pools')
  return rows.find((row) => row['database'] === database.database && row['user'] === database.user) ?? {}
}

describe('the console with node-postgres:', () => {
  test('SHOW POOLS has the columns of PgBouncer, in order, and numbers are numbers', async () => {
    const pgweir = await start()
    const root = await console(pgweir)
    const { command, fields, rows } = await root.query('SHOW POOLS')
    expect(command).toBe('SHOW')
    expect(fields.map(({ name }) => name).join(' ')).toBe(
      'database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active sv_active_cancel ' +
        'sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode load_balance_hosts',
    )
    expect(rows).toEqual([expect.objectContaining({ database: 'pgbouncer', cl_active: 1, pool_mode: 'statement' })])
  })

  test('the extended protocol returns the same rows, unnamed, named, and in binary format', async () => {
    const pgweir = await start()
    const root = await console(pgweir)
    const simple = await show(root, 'databases')
    expect((await root.query(extended('show databases'))).rows).toEqual(simple)
    for (let times = 0; times < 2; times++)
      expect((await root.query({ name: 'databases', text: 'show databases' })).rows).toEqual(simple)
    // In binary mode this driver reads values as UTF-8, so only bytes below 128 survive. The values here contain no others.
    expect((await root.query(extended('show lists', { binary: true }))).rows).toEqual(await show(root, 'lists'))
    // The driver returns binary numerics as numbers, but numerics in text format as strings.
    const logins = async (config: pg.QueryConfig) => (await root.query(config)).rows[0]['total_client_login_count']
    expect(await logins(extended('show stats'))).toBe('1')
    expect(await logins(extended('show stats', { binary: true }))).toBe(1)
  })

  test('a cursor reads a few rows at a time', async () => {
    const pgweir = await sharedPgweir(options())
    const root = await console(pgweir)
    const cursor = root.query(new Cursor<Row>('show lists'))
    expect((await cursor.read(2)).map((row) => row['list'])).toEqual(['databases', 'users'])
    expect(await cursor.read(100)).toHaveLength(12)
    await cursor.close()
    expect((await root.query('select 1')).rows).toEqual([{ '?column?': 1 }])
  })

  test('pipelined queries are answered in order', async () => {
    const pgweir = await sharedPgweir(options())
    const root = await console(pgweir)
    const answers = await Promise.allSettled([
      root.query('show version'),
      root.query(extended('show nonsense')),
      root.query({ name: 's', text: 'show state' }),
      root.query('show lists; select 1'),
      root.query('begin'),
    ])
    expect(answers.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
      'fulfilled',
    ])
    expect(answers[2]).toMatchObject({ value: { rows: [{ key: 'active', value: 'yes' }, {}, {}] } })
  })

  test('an unknown command is an error with a hint, and the connection stays usable', async () => {
    const pgweir = await sharedPgweir(options())
    const root = await console(pgweir)
    for (const config of [{ text: 'show cleints' }, extended('show cleints')]) {
      const error = await failureOf<pg.DatabaseError>(root.query(config))
      expect(error).toMatchObject({
        severity: 'ERROR',
        code: '42601',
        message: "invalid command 'show cleints', use SHOW HELP;",
        hint: 'Did you mean SHOW CLIENTS?',
      })
    }
    expect((await failureOf<pg.DatabaseError>(root.query('show pools', ['value']))).code).toBe('0A000')
    expect(await show(root, 'version')).toHaveLength(1)
  })

  test('SHOW HELP sends a notice', async () => {
    const pgweir = await sharedPgweir(options())
    const root = await console(pgweir)
    const notices: pg.DatabaseError[] = []
    root.on('notice', (notice) => notices.push(notice as unknown as pg.DatabaseError))
    expect((await root.query('show help')).command).toBe('SHOW')
    expect(notices).toEqual([expect.objectContaining({ message: 'Console usage' })])
    expect(notices[0]?.detail).toContain('SHOW HELP|CONFIG|DATABASES')
  })
})

describe('the console with postgres.js:', () => {
  test('SHOW works after the driver’s own first query, prepared, unprepared, and in a transaction', async () => {
    const pgweir = await sharedPgweir(options())
    for (const options of [{}, { prepare: false }, { fetch_types: false }]) {
      const sql = pgweir.sql({ database: 'pgbouncer', user: 'root', password: 'x', ...options })
      const version = await sql`show version`
      expect(version[0]?.['version']).toMatch(/^pgweir /)
      expect((await sql`show version`)[0]).toEqual(version[0])
      const rows = await sql.begin(async (transaction) => transaction`show state`)
      expect(rows.map(({ key, value }) => `${key} ${value}`)).toEqual(['active yes', 'paused no', 'suspended no'])
      expect(await failureOf(sql`show nothing`)).toMatchObject({ code: '42601' })
      expect(await sql.unsafe('show lists; show version').simple()).toHaveLength(2)
    }
  })
})

describe('access to the console:', () => {
  test('admin_users may run everything, stats_users may only SHOW, other users are refused', async () => {
    const pgweir = await start()
    const root = await console(pgweir, 'root')
    const stats = await console(pgweir, 'stats', 'pgbouncer')
    expect(await show(stats, 'users')).toEqual(await show(root, 'users'))
    expect(await failureOf(stats.query('pause'))).toMatchObject({ code: '42501', message: 'admin access needed' })
    expect(await failureOf(stats.query(extended('set pool_mode = session')))).toMatchObject({ code: '42501' })
    expect((await root.query('pause')).command).toBe('PAUSE')
    const nobody = pgweir.unconnected({ database: 'pgweir', user: 'nobody', password: 'x' })
    expect(await failureOf(nobody.connect())).toMatchObject({
      severity: 'FATAL',
      code: '42501',
      message: 'not allowed',
      hint: 'The settings are admin_users and stats_users.',
    })
  })

  test('every user is an admin with auth_type = any', async () => {
    const pgweir = await start({ auth_type: 'any' })
    const anyone = await console(pgweir, 'whoever')
    expect((await anyone.query('pause')).command).toBe('PAUSE')
  })
})

describe('the console shows', () => {
  test('idle, active and waiting clients, and their servers', async () => {
    const pgweir = await start({ default_pool_size: 2 })
    const root = await console(pgweir)
    const [ada, bob, eve] = [await pgweir.client(), await pgweir.client(), await pgweir.client()]
    expect(await poolRow(root)).toMatchObject({ cl_active: 3, cl_waiting: 0, sv_active: 0, sv_idle: 1 })

    await ada.query('begin')
    await bob.query('begin')
    const answer = eve.query('select 1 as one')
    await until('Eve waits', async () => (await pgweir.counts()).waiting === 1)
    expect(await poolRow(root)).toMatchObject({ cl_active: 2, cl_waiting: 1, sv_active: 2, sv_idle: 0 })
    const clients = (await show(root, 'clients'))
      .filter((row) => row['database'] === database.database)
      .toSorted((one, other) => String(one['state']).localeCompare(String(other['state'])))
    expect(clients.map(({ state }) => state)).toEqual(['active', 'active', 'waiting'])
    const waiting = clients[2] as Row
    await until('she has waited for a millisecond', async () => {
      const row = (await show(root, 'clients')).find(({ id }) => id === waiting['id'])
      return Number(row?.['wait_us']) + 1e6 * Number(row?.['wait']) > 1_000
    })

    const servers = await show(root, 'servers')
    expect(servers.map(({ state }) => state)).toEqual(['active', 'active'])
    expect(servers.map(({ link }) => link)).toEqual(
      expect.arrayContaining(clients.slice(0, 2).map((client) => client['ptr'])),
    )
    const pids = servers.map((row) => row['remote_pid'])
    expect(pids).toContain((await ada.query('select pg_backend_pid() as pid')).rows[0].pid)
    expect(await show(root, 'lists')).toEqual(
      expect.arrayContaining([
        { list: 'used_clients', items: 4 },
        { list: 'used_servers', items: 2 },
        { list: 'pools', items: 2 },
        { list: 'databases', items: 2 },
      ]),
    )
    await ada.query('commit')
    await bob.query('commit')
    await answer
    // With several processes, a server may be closed while Eve's process opens one.
    await until('no server is in use', async () => {
      const { sv_active, sv_login, sv_idle } = await poolRow(root)
      return sv_active === 0 && sv_login === 0 && sv_idle === (await pgweir.counts()).servers
    })
    if (WORKERS === 1) expect(await poolRow(root)).toMatchObject({ sv_idle: 2 })
    expect(await poolRow(root)).toMatchObject({ cl_active: 3, cl_waiting: 0, maxwait: 0, maxwait_us: 0 })
  })

  test('addresses, names and times of clients and servers', async () => {
    const pgweir = await sharedPgweir(options())
    const root = await console(pgweir)
    const ada = await pgweir.client({ application_name: 'reports' })
    await ada.query('select 1')
    const [client] = (await show(root, 'clients')).filter((row) => row['application_name'] === 'reports')
    const now = new Date().toISOString().slice(0, 10)
    expect(client).toMatchObject({
      type: 'C',
      user: database.user,
      database: database.database,
      replication: 'none',
      state: 'idle',
      addr: '127.0.0.1',
      local_addr: '127.0.0.1',
      local_port: pgweir.address.port,
      connect_time: expect.stringContaining(now),
      request_time: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/),
      wait: 0,
      link: '',
      tls: '',
    })
    expect((await show(root, 'servers'))[0]).toMatchObject({ type: 'S', addr: database.host, port: database.port })
    await ada.query(`set application_name = 'renamed'`)
    expect((await show(root, 'clients')).map((row) => row['application_name'])).toContain('renamed')
  })

  test('the numbers of prepared statements of clients and servers', async () => {
    const pgweir = await start()
    const root = await console(pgweir)
    const [ada, bob] = [await pgweir.client(), await pgweir.client()]
    for (const client of [ada, bob]) await client.query({ name: 'one', text: 'select 1 as one' })
    await bob.query({ name: 'two', text: 'select 2 as two' })
    const counts = async (topic: string) => (await show(root, topic)).map((row) => row['prepared_statements'])
    expect((await counts('clients')).toSorted()).toEqual([0, 1, 2])
    expect(await counts('servers')).toEqual([2])
    await root.query({ name: 'mine', text: 'show version' })
    expect((await counts('clients')).toSorted()).toEqual([1, 1, 2])
  })

  test('the server of a cancelled query as idle again', async () => {
    const pgweir = await start()
    const root = await console(pgweir)
    const ada = await pgweir.raw()
    ada.send(serialize.query('select pg_sleep(60)'))
    await untilRunning(database, 'select pg_sleep(60)')
    expect(await poolRow(root)).toMatchObject({ cl_active: 1, sv_active: 1 })
    await pgweir.cancel(ada.cancelKey)
    expect(await ada.lines()).toContain('ErrorResponse 57014 canceling statement due to user request')
    await until('its server is idle', async () => (await poolRow(root))['sv_idle'] === 1)
    expect(await poolRow(root)).toMatchObject({ cl_active_cancel_req: 0, sv_active_cancel: 0, sv_being_canceled: 0 })
  })

  test('databases and users, with their limits and what counts towards them', async () => {
    const pgweir = await startPgweir({
      database,
      secrets: SECRETS,
      settings: { admin_users: 'root', max_db_connections: 7, default_pool_size: 5 },
      entry: 'pool_mode=session pool_size=6 min_pool_size=1 max_db_client_connections=9 server_lifetime=120',
      users: [`${database.user} = pool_size=3 max_user_connections=4`],
    })
    const root = await console(pgweir)
    const ada = await pgweir.client()
    await ada.query('select 1')
    const rows = await show(root, 'databases')
    expect(rows.find(({ name }) => name === database.database)).toEqual({
      name: database.database,
      host: database.host,
      port: database.port,
      database: database.database,
      force_user: null,
      pool_size: 6,
      min_pool_size: 1,
      reserve_pool_size: 0,
      server_lifetime: 120,
      pool_mode: 'session',
      load_balance_hosts: null,
      max_connections: 7,
      current_connections: 1,
      max_client_connections: 9,
      current_client_connections: 1,
      paused: 0,
      disabled: 0,
    })
    expect(rows.find(({ name }) => name === 'pgbouncer')).toMatchObject({ pool_size: 2, current_client_connections: 1 })
    const users = await show(root, 'users')
    expect(users.find(({ name }) => name === database.user)).toEqual({
      name: database.user,
      pool_size: '        3',
      reserve_pool_size: '',
      pool_mode: null,
      max_user_connections: 4,
      current_connections: 1,
      max_user_client_connections: 0,
      current_client_connections: 1,
    })
    expect(users.map(({ name }) => name)).toEqual(
      [...Object.keys(SECRETS), 'pgbouncer'].toSorted((one, other) => (one < other ? -1 : 1)),
    )
  })

  test('the statistics of a database', async () => {
    const pgweir = await start()
    const root = await console(pgweir)
    const ada = await pgweir.client()
    await ada.query('begin; select 1')
    await ada.query('commit')
    await ada.query({ name: 's', text: 'select 2' })
    const stats = (await show(root, 'stats')).find((row) => row['database'] === database.database)
    expect(stats).toMatchObject({
      total_xact_count: '2',
      total_query_count: '3',
      total_client_parse_count: '1',
      total_server_parse_count: '1',
      total_bind_count: '1',
      total_client_login_count: '1',
    })
    // The average is per second, over at least one second.
    expect(Number(stats?.['avg_query_count'])).toBeLessThanOrEqual(3)
    expect(Number(stats?.['total_xact_time'])).toBeGreaterThanOrEqual(Number(stats?.['total_query_time']))
    expect(Number(stats?.['total_sent'])).toBeGreaterThan(Number(stats?.['total_received']))
  })

  test('the present settings and their defaults', async () => {
    const pgweir = await start({ server_lifetime: '5min' })
    const root = await console(pgweir)
    expect(await show(root, 'config')).toEqual(
      expect.arrayContaining([
        { key: 'server_lifetime', value: '300', default: '3600', changeable: 'yes' },
        { key: 'pool_mode', value: 'transaction', default: 'session', changeable: 'yes' },
        { key: 'listen_port', value: '0', default: '6432', changeable: 'no' },
      ]),
    )
  })
})

test('the console answers when PostgreSQL has no room for a server', async () => {
  const admin = await adminClient()
  await admin.query(`alter role ${database.user} connection limit 0`)
  try {
    const pgweir = await start()
    const root = await console(pgweir)
    const ada = pgweir.unconnected()
    expect(await failureOf(ada.connect())).toMatchObject({ code: '53300' })
    expect(await poolRow(root)).toMatchObject({ cl_active: 0, sv_active: 0, sv_idle: 0 })
  } finally {
    await admin.query(`alter role ${database.user} connection limit -1`)
  }
})

test('the console asks for a password like other databases', async () => {
  const pgweir = await start({ auth_type: 'scram-sha-256' })
  const wrong = pgweir.unconnected({ database: 'pgweir', user: 'root', password: 'wrong' })
  expect(await failureOf(wrong.connect())).toMatchObject({ code: '28P01' })
  const root = await pgweir.client({ database: 'pgweir', user: 'root', password: 'r' })
  expect(await show(root, 'version')).toHaveLength(1)
})
