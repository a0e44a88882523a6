/** What operators do with a pooler at work: reload, pause, reconnect, drain. With real drivers, and with clients that must not notice. */

import { readFile } from 'node:fs/promises'
import type pg from 'pg'
import { describe, expect, test } from 'vitest'
import type { Address } from '../../src/net/channel.ts'
import { keyOf } from '../support/e2e/keys.ts'
import { type Pgweir, type PgweirOptions, startPgweir } from '../support/e2e/pgweir.ts'
import { activity, untilNobodyIsConnected, untilRunning } from '../support/e2e/server-side.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()
const other = await createDatabase()
const SECRETS = { [database.user]: database.password, [other.user]: other.password, root: 'r' }

function start(options: Partial<PgweirOptions> = {}): Promise<Pgweir> {
  const { settings, ...more } = options
  return startPgweir({ database, secrets: SECRETS, settings: { admin_users: 'root', ...settings }, ...more })
}

const console = (pgweir: Pgweir) => pgweir.client({ database: 'pgweir', user: 'root', password: 'r' })

/** Uses the extended protocol. The cast is needed because @types/pg lacks this option. */
const extended = (text: string) => ({ text, queryMode: 'extended' }) as pg.QueryConfig

async function pidOf(client: pg.Client): Promise<number> {
  return (await client.query('select pg_backend_pid() as pid')).rows[0].pid
}

/** Lets clients run queries until they are stopped. Each counts with its own prepared statement. */
function crowd(clients: readonly pg.Client[]) {
  let isOver = false
  let answers = 0
  const work = clients.map(async (client, number) => {
    for (let count = 0; !isOver; count++) {
      const { rows } = await client.query({
        name: 'sum',
        text: 'select $1::int + $2::int as sum',
        values: [number, count],
      })
      expect(rows).toEqual([{ sum: number + count }])
      await client.query('begin')
      await client.query({ name: 'twice', text: 'select $1::int * 2 as twice', values: [count] })
      await client.query('commit')
      answers++
    }
  })
  return {
    /** Waits until the clients have received more answers, five each on average. */
    async goesOn(): Promise<void> {
      const wanted = answers + 5 * clients.length
      await until('all go on', () => answers >= wanted)
    },
    async stop(): Promise<void> {
      isOver = true
      await Promise.all(work)
    },
  }
}

async function startCrowd(pgweir: Pgweir) {
  const clients = await Promise.all(Array.from({ length: 12 }, () => pgweir.client()))
  return crowd(clients)
}

describe('under load, no client is disconnected and every answer is right', () => {
  test('during reloads that change sizes, timeouts, pool_mode and the settings of servers', async () => {
    const settings = { admin_users: 'root', default_pool_size: 4 }
    const pgweir = await start({ settings })
    const root = await console(pgweir)
    const work = await startCrowd(pgweir)
    for (const changes of [
      { settings: { ...settings, default_pool_size: 1 } },
      { settings: { ...settings, default_pool_size: 6, min_pool_size: 3, server_lifetime: 1 } },
      { settings: { ...settings, max_prepared_statements: 1, pool_mode: 'session' as const } },
      { settings: { ...settings, max_db_connections: 2, server_round_robin: 1 } },
      { settings, entry: "connect_query='set work_mem to 7777' timezone=Asia/Tokyo" },
      { settings, users: [`${database.user} = pool_size=2 query_timeout=60`] },
      { settings, entry: '', users: [] },
    ]) {
      await pgweir.rewrite(changes)
      expect((await root.query('reload')).command).toBe('RELOAD')
      await work.goesOn()
    }
    await work.stop()
  })

  test('during repeated RECONNECT, PAUSE and RESUME', async () => {
    const pgweir = await start({ settings: { default_pool_size: 4 } })
    const root = await console(pgweir)
    const work = await startCrowd(pgweir)
    for (let times = 0; times < 5; times++) {
      const before = new Set(await pgweir.serverPids())
      await root.query('reconnect')
      await root.query('wait_close')
      expect((await activity(database)).filter(({ pid }) => before.has(pid))).toEqual([])
      await work.goesOn()
      expect((await root.query('pause')).command).toBe('PAUSE')
      expect(await pgweir.serverPids()).toEqual([])
      await root.query(extended('resume'))
      await work.goesOn()
    }
    await work.stop()
  })
})

describe('PAUSE', () => {
  test('is answered when the transaction has ended and no connection to PostgreSQL is left', async () => {
    const pgweir = await start({ settings: { default_pool_size: 2 } })
    const [root, ada, bob] = [await console(pgweir), await pgweir.client(), await pgweir.client()]
    await ada.query('begin')
    const paused = root.query(extended('PAUSE'))
    await until('it pauses', async () => (await pgweir.fleet.state()) === 'paused')
    const waiting = bob.query('select 1 as one')
    await until('Bob waits', async () => (await pgweir.counts()).waiting === 1)
    await ada.query('commit')
    expect((await paused).command).toBe('PAUSE')
    await untilNobodyIsConnected(database)
    const state = await root.query('show state')
    expect(state.rows.find(({ key }) => key === 'paused')).toEqual({ key: 'paused', value: 'yes' })
    expect((await root.query('RESUME')).command).toBe('RESUME')
    expect((await waiting).rows).toEqual([{ one: 1 }])
  })

  test('of one database is shown by SHOW DATABASES and ended by RESUME with its name', async () => {
    const pgweir = await start({
      databases: [`other = host=${other.host} port=${other.port} dbname=${other.database}`],
    })
    const root = await console(pgweir)
    await root.query(`pause ${database.database}`)
    const { rows } = await root.query('show databases')
    expect(rows.filter(({ paused }) => paused === 1).map(({ name }) => name)).toEqual([database.database])
    expect(await failureOf(root.query('resume'))).toMatchObject({
      code: '55000',
      message: 'pooler is not paused/suspended',
    })
    expect(await failureOf(root.query('resume other'))).toMatchObject({ message: 'database other is not paused' })
    await root.query(`resume ${database.database}`)
  })
})

test('a database that is moved while it is paused is served from its new location, with sessions and statements as before', async () => {
  const pgweir = await start()
  const [root, ada] = [await console(pgweir), await pgweir.client({ application_name: 'reports' })]
  const where = {
    name: 'where',
    text: `select current_database() as database, current_setting('application_name') as app`,
  }
  expect((await ada.query(where)).rows).toEqual([{ database: database.database, app: 'reports' }])
  await root.query(`pause ${database.database}`)
  await pgweir.rewrite({ entry: `dbname=${other.database} user=${other.user} password=${other.password}` })
  await root.query('reload')
  const answer = ada.query(where)
  await root.query(`resume ${database.database}`)
  expect((await answer).rows).toEqual([{ database: other.database, app: 'reports' }])
  await untilNobodyIsConnected(database)
})

test('RECONNECT gives each client a new server after its transaction', async () => {
  const pgweir = await start()
  const [root, ada] = [await console(pgweir), await pgweir.client()]
  await ada.query('begin')
  const before = await pidOf(ada)
  await root.query('reconnect')
  const closed = root.query('wait_close')
  expect(await pidOf(ada)).toBe(before)
  await ada.query('commit')
  await closed
  expect(await pidOf(ada)).not.toBe(before)
})

describe('SET and RELOAD', () => {
  test('are reflected in SHOW CONFIG, and a RELOAD reverts a SET', async () => {
    const pgweir = await start()
    const root = await console(pgweir)
    const sizeOf = async () =>
      (await root.query('show config')).rows.find(({ key }) => key === 'default_pool_size')?.value
    expect((await root.query('SET default_pool_size = 7')).command).toBe('SET')
    expect(await sizeOf()).toBe('7')
    await root.query(extended("set default_pool_size to '8'"))
    expect(await sizeOf()).toBe('8')
    await root.query('RELOAD')
    expect(await sizeOf()).toBe('1')
    expect(pgweir.log.filter((line) => line.includes('it was SET on the console'))).toHaveLength(1)
  })

  test('that fail change nothing, and report what is wrong', async () => {
    const pgweir = await start({ settings: { default_pool_size: 3 } })
    const [root, ada] = [await console(pgweir), await pgweir.client()]
    await pgweir.rewrite({ settings: { admin_users: '', default_pool_size: 'many' } })
    expect(await failureOf(root.query('reload'))).toMatchObject({
      code: 'F0000',
      message: 'RELOAD failed, see logs for additional details',
    })
    expect(pgweir.log.some((line) => /pgweir\.ini:\d+: error: default_pool_size cannot be "many"/.test(line))).toBe(
      true,
    )
    expect((await root.query('show config')).rows).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ key: 'default_pool_size', value: '3' }),
        expect.objectContaining({ key: 'admin_users', value: 'root' }),
      ]),
    )
    expect(await failureOf(root.query('set listen_port = 1'))).toMatchObject({ code: '55P02' })
    expect(await failureOf(root.query('set nonsense = 1'))).toMatchObject({
      message: 'SET failed',
      hint: 'there is no setting "nonsense".',
    })
    expect((await ada.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  test('add and remove users of auth_file', async () => {
    const pgweir = await start({ settings: { auth_type: 'scram-sha-256' } })
    const root = await console(pgweir)
    const ada = await pgweir.client()
    await pgweir.rewrite({
      secrets: { [database.user]: 'another', root: 'r' },
      settings: { auth_type: 'scram-sha-256' },
    })
    await root.query('reload')
    expect(await failureOf(pgweir.client())).toMatchObject({ code: '28P01' })
    expect((await ada.query('select 1 as one')).rows, 'connected clients stay').toEqual([{ one: 1 }])
  })
})

test('DISABLE refuses new clients, and ENABLE accepts them again', async () => {
  const pgweir = await start()
  const [root, ada] = [await console(pgweir), await pgweir.client()]
  await root.query(`disable ${database.database}`)
  const { rows } = await root.query('show databases')
  expect(rows.find(({ name }) => name === database.database)).toMatchObject({ disabled: 1, paused: 0 })
  expect(await failureOf(pgweir.client())).toMatchObject({
    severity: 'FATAL',
    code: '57P03',
    message: `database "${database.database}" is disabled`,
  })
  expect((await ada.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  await root.query(`enable ${database.database}`)
  await pgweir.client()
})

test('KILL_CLIENT disconnects one client and cancels its query', async () => {
  const pgweir = await start()
  const [root, ada] = [await console(pgweir), await pgweir.client()]
  const lost = failureOf(ada.query('select pg_sleep(60)'))
  await untilRunning(database, 'select pg_sleep(60)')
  const { rows } = await root.query('show clients')
  const client = rows.find((row) => row['state'] === 'active' && row['database'] === database.database)
  await root.query(`kill_client ${client?.['id']}`)
  expect(await lost).toMatchObject({ code: '57P01', message: 'admin forced disconnect' })
  await untilNobodyIsConnected(database)
  expect(await failureOf(root.query(`kill_client ${client?.['id']}`))).toMatchObject({ message: 'client not found' })
})

test('KILL is answered when no connection to PostgreSQL is left, so that the database can be dropped', async () => {
  const pgweir = await start({ settings: { default_pool_size: 3 } })
  const [root, ada, bob] = [await console(pgweir), await pgweir.client(), await pgweir.client()]
  const lost = failureOf(ada.query('select pg_sleep(60)'))
  await untilRunning(database, 'select pg_sleep(60)')
  await bob.query('begin')
  expect((await root.query(`kill ${database.database}`)).command).toBe('KILL')
  expect(await activity(database)).toEqual([])
  expect((await pgweir.counts()).servers).toBe(0)
  expect(await lost).toMatchObject({ code: '57P01', message: 'database removed' })
  const eve = await pgweir.client()
  const waiting = eve.query('select 1 as one')
  await root.query(`resume ${database.database}`)
  expect((await waiting).rows).toEqual([{ one: 1 }])
})

test('removing a database from the file disconnects its clients', async () => {
  const entry = `other = host=${other.host} port=${other.port} dbname=${other.database}`
  const pgweir = await start({ databases: [entry] })
  const root = await console(pgweir)
  const config = { database: 'other', user: other.user, password: other.password }
  const [stays, goes] = [await pgweir.client(), await pgweir.client(config)]
  await goes.query('begin')
  await pgweir.rewrite({ databases: [] })
  const ended = new Promise((resolve) => goes.once('error', resolve))
  await root.query('reload')
  expect(await ended).toMatchObject({ code: '57P01', message: 'database removed' })
  expect(await failureOf(pgweir.client(config))).toMatchObject({ code: '3D000' })
  expect((await stays.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  await untilNobodyIsConnected(other)
})

test('a PAUSE that waits can be cancelled', async () => {
  const pgweir = await start()
  const [root, ada] = [await console(pgweir), await pgweir.client()]
  await ada.query('begin')
  const paused = failureOf(root.query('pause'))
  await until('it pauses', async () => (await pgweir.fleet.state()) === 'paused')
  await pgweir.cancel(keyOf(root))
  expect(await paused).toMatchObject({ code: '57014' })
  await root.query('resume')
  await ada.query('commit')
})

test('a change of tcp_keepalive applies to new connections of clients and to servers', async () => {
  const pgweir = await start({ settings: { default_pool_size: 2 } })
  const [root, ada] = [await console(pgweir), await pgweir.client()]
  const clients = async () => timersOf(await pgweir.fleet.clients())
  const servers = async () => timersOf(await pgweir.fleet.servers())
  await ada.query('begin')
  expect([await clients(), await servers()]).toEqual([['probes', 'probes'], ['probes']])
  await root.query('set tcp_keepalive = 0')
  const bob = await pgweir.client()
  await bob.query('select 1')
  expect([await clients(), await servers()]).toEqual([
    ['none', 'probes', 'probes'],
    ['none', 'probes'],
  ])
  await root.query('set tcp_keepalive = 1')
  await pgweir.client()
  expect(await clients()).toEqual(['none', 'probes', 'probes', 'probes'])
  await ada.query('commit')
})

/** The kernel's timers of these TCP sockets, once all data is acknowledged. https://docs.kernel.org/networking/proc_net_tcp.html */
async function timersOf(wanted: readonly { readonly local: Address; readonly peer: Address }[]): Promise<string[]> {
  // Compare both ports, since another connection may have one of them.
  const ends = new Set(wanted.map(({ local, peer }) => `${local.port} ${peer.port}`))
  let timers: string[] = []
  await until('all is acknowledged', async () => {
    const lines = (await readFile('/proc/net/tcp', 'utf8')).trim().split('\n').slice(1)
    const sockets = lines.map((line) => line.trim().split(/[ :]+/))
    const ours = sockets.filter(
      ([, , local = '', , peer = '', state]) =>
        state === '01' && ends.has(`${Number.parseInt(local, 16)} ${Number.parseInt(peer, 16)}`),
    )
    timers = ours.map(([, , , , , , , , timer = '']) => ({ '00': 'none', '02': 'probes' })[timer] ?? 'other').sort()
    return !timers.includes('other')
  })
  return timers
}
