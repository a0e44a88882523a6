/** Replication through the pooler: each replication client has a walsender of its own. */

import { serialize } from 'pg-protocol'
import { describe, expect, test } from 'vitest'
import { type Pgweir, type PgweirOptions, sharedPgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { message, type RawClient, startup } from '../support/e2e/raw-client.ts'
import { positionOf, standbyStatus, streamedUntil } from '../support/e2e/replication.ts'
import { Roster } from '../support/e2e/roster.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { adminClient, createDatabase, createRole } from '../support/postgres.ts'

const database = await createDatabase({ method: 'trust', attributes: 'replication' })

/** A role without the attribute `replication`. */
const other = await createRole({ method: 'trust' })

/** Physical replication concerns no database; tools use this name for it. */
const PHYSICAL = [`replication = host=${database.host} port=${database.port}`]

const OPTIONS = {
  database,
  databases: PHYSICAL,
  secrets: Object.fromEntries([database, other].map(({ user, password }) => [user, password])),
  settings: { default_pool_size: 3 },
} satisfies PgweirOptions

const admin = await adminClient(database.database)
await admin.query('create table changes (id int primary key, text text)')
await admin.query(`alter table changes owner to ${database.user}`)
await admin.query('create publication all_changes for table changes')

/** Numbers the slots: a client that has left may hold its slot for a moment, so each slot needs a new name. */
let followers = 0

/** Connects a client that receives the changes of the table from now on. */
async function follow(pgweir: Pgweir, parameters: Readonly<Record<string, string>> = {}): Promise<RawClient> {
  const client = await pgweir.raw({ replication: 'database', ...parameters })
  const slot = `follower_${++followers}`
  const created = await client.ask(serialize.query(`CREATE_REPLICATION_SLOT ${slot} TEMPORARY LOGICAL pgoutput`))
  expect(created).toContain('CommandComplete CREATE_REPLICATION_SLOT')
  const options = `proto_version '1', publication_names 'all_changes'`
  client.send(serialize.query(`START_REPLICATION SLOT ${slot} LOGICAL 0/0 (${options})`))
  expect((await client.next())?.line).toBe('CopyBothResponse')
  return client
}

async function expectStreamed(client: RawClient, text: string): Promise<void> {
  const streamed = await streamedUntil(client, (data) => data.includes(text))
  expect(streamed.map(({ data }) => String.fromCharCode(data[0] as number))).toContain('I')
  const last = streamed.at(-1)
  client.send(standbyStatus(last?.end ?? 0n))
}

async function walsenders(): Promise<number> {
  const { rows } = await admin.query<{ count: number }>(
    `select count(*)::int from pg_stat_activity where backend_type = 'walsender' and usename = '${database.user}'`,
  )
  return rows[0]?.count ?? 0
}

describe('a logical replication client', () => {
  test('can run replication commands and SQL on the same connection', async () => {
    const pgweir = await sharedPgweir(OPTIONS)
    const client = await pgweir.client({ replication: 'database' } as object)
    const { rows } = await client.query('IDENTIFY_SYSTEM')
    expect(rows).toEqual([expect.objectContaining({ dbname: database.database })])
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect(await failureOf(client.query('select $1::int', [1]))).toMatchObject({ code: '08P01' })
  })

  test('receives changes and reports its position until it ends the stream', async () => {
    const pgweir = await sharedPgweir(OPTIONS)
    const client = await follow(pgweir)
    const writer = await pgweir.client()
    for (let id = 1; id <= 3; id++) {
      await writer.query('insert into changes values ($1, $2)', [id, `change ${id}`])
      await expectStreamed(client, `change ${id}`)
    }
    client.send(message('c'))
    const rest = (await client.repliesUntil('Z')).map(({ line }) => line)
    expect(rest.filter((line) => !line.startsWith('CopyData'))).toEqual([
      'CopyDone',
      'CommandComplete COPY 0',
      'CommandComplete START_REPLICATION',
      'ReadyForQuery I',
    ])
    expect(await client.ask(serialize.query('select 2'))).toContain('DataRow 2')
    await writer.query('truncate changes')
  })

  test('is shown with its kind, and its server is closed when it disconnects', async () => {
    const pgweir = await sharedPgweir(OPTIONS)
    const client = await follow(pgweir)
    const [clients, servers] = await Promise.all([pgweir.fleet.clients(), pgweir.fleet.servers()])
    const server = servers.find(({ replication }) => replication === 'logical')
    expect(clients).toEqual([
      expect.objectContaining({ replication: 'logical', state: 'active', serverId: server?.id }),
    ])
    expect(await pgweir.counts()).toMatchObject({ clients: 1, leased: 1, mode: 'transaction' })
    await client.end()
    await until('the walsender is gone', async () => (await walsenders()) === 0)
    expect(pgweir.closings).toContain('replication client has left')
  })
})

test('a replication client that does not read stops its walsender, which still receives its position', async () => {
  const pgweir = await sharedPgweir(OPTIONS)
  const client = await follow(pgweir, { application_name: 'slow' })
  const writer = await pgweir.client()
  await writer.query(`insert into changes values (1, 'first')`)
  const [{ end } = { end: 0n }] = (await streamedUntil(client, (data) => data.includes('first'))).slice(-1)
  client.socket.pause()
  await writer.query(`insert into changes select id, repeat('x', 1000000) from generate_series(2, 65) id`)
  const state = async () => {
    const { rows } = await admin.query<{ event: string; flushed: string }>(
      `select wait_event as event, flush_lsn as flushed from pg_stat_replication join pg_stat_activity using (pid)
       where pg_stat_replication.application_name = 'slow'`,
    )
    return rows[0]
  }
  await until('the walsender cannot send', async () => /^WalSenderWriteData$/i.test((await state())?.event ?? ''))
  client.send(standbyStatus(end))
  await until('it has heard', async () => positionOf((await state())?.flushed ?? '0/0') === end)
  client.socket.resume()
  await streamedUntil(client, (data) => data[0] === 'C'.charCodeAt(0))
  await writer.query('truncate changes')
})

test('a replication client counts towards default_pool_size: an idle server is closed for it, and other clients wait', async () => {
  const pgweir = await sharedPgweir({ ...OPTIONS, settings: { default_pool_size: 1 } })
  const client = await pgweir.client()
  await client.query('select 1')
  const follower = await follow(pgweir)
  const waiting = client.query('select 2 as two')
  await until('the client waits', async () => (await pgweir.counts()).waiting === 1)
  expect(await pgweir.counts()).toMatchObject({ servers: 1, leased: 1 })
  await follower.end()
  expect((await waiting).rows).toEqual([{ two: 2 }])
})

test('an error of Postgres at the login of a replication client goes to that client alone', async () => {
  const pgweir = await sharedPgweir(OPTIONS)
  const [refused, again] = [await pgweir.stranger(), await pgweir.stranger()]
  for (const stranger of [refused, again]) {
    stranger.send(startup({ user: other.user, database: database.database, replication: 'database' }))
    const [line] = (await stranger.rest()).slice(-1)
    expect(line).toContain('ErrorResponse FATAL 42501')
  }
  const client = await pgweir.client({ user: other.user })
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
})

test('a worker that is being replaced disconnects its replication clients, which can continue at the next worker', async () => {
  const roster = new Roster()
  const pgweir = await startPgweir({ ...OPTIONS, workers: 2, settings: { worker_restart_grace: 0.1 } })
  roster.of(pgweir)
  const old = await roster.all()
  const client = await follow(pgweir)
  await pgweir.fleet.control.restartWorkers()
  const rest = await client.rest()
  expect(rest.at(-1)).toBe('ErrorResponse FATAL 57P01 terminating connection due to administrator command')
  await roster.untilReplaced(old, 2)
  await follow(pgweir)
})

describe('a physical replication client', () => {
  test('receives the WAL of the whole server', async () => {
    const pgweir = await sharedPgweir(OPTIONS)
    const client = await pgweir.raw({ replication: 'true', database: 'replication' })
    const [, row = ''] = await client.ask(serialize.query('IDENTIFY_SYSTEM'))
    const [, timeline, position] = row.replace('DataRow ', '').split('|')
    client.send(serialize.query(`START_REPLICATION PHYSICAL ${position} TIMELINE ${timeline}`))
    expect((await client.next())?.line).toBe('CopyBothResponse')
    const servers = await pgweir.fleet.servers()
    expect(servers.map(({ replication }) => replication)).toContain('physical')
    await admin.query(`select pg_logical_emit_message(false, 'test', 'physical')`)
    await admin.query('select pg_switch_wal()')
    await streamedUntil(client, (data) => data.includes('physical'))
  })
})
