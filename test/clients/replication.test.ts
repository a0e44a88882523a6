/** PostgreSQL's own replication programs, and a logical subscriber, through pgweir. They need a server of their own version. */

import { execFile } from 'node:child_process'
import { appendFile, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { findSystemPostgres } from '../../src/embedded/binaries.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/embedded/postgres.ts'
import { type Pgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { LONG_PATIENCE_MS, until } from '../support/e2e/until.ts'
import { adminClient, createDatabase, type TestDatabase } from '../support/postgres.ts'
import { type Outcome, type ProgramName, run, type Target } from './support/program.ts'

const MAJOR = 15
const PASSWORD = 'follows'

let publisher: EmbeddedPostgres
let admin: pg.Client
let database: TestDatabase

beforeAll(async () => {
  publisher = await startEmbeddedPostgres({
    superuser: 'postgres',
    password: PASSWORD,
    // Commits are in the WAL that replication clients receive.
    settings: { wal_level: 'logical', max_wal_senders: '20', synchronous_commit: 'on' },
    hba: () => ['host replication all 127.0.0.1/32 scram-sha-256'],
    binDirectory: publisherBinaries(),
  })
  const { host, port, user, password } = publisher
  admin = new pg.Client({ host, port, user, password, database: 'postgres' })
  await admin.connect()
  await admin.query(`create role follower login replication superuser password '${PASSWORD}'`)
  await admin.query('create database followed owner follower')
  await admin.end()
  const follower = { user: 'follower', password: PASSWORD }
  database = { host, port, database: 'followed', ...follower, url: '' }
  admin = new pg.Client({ host, port, ...follower, database: 'followed' })
  await admin.connect()
  await admin.query(`create table things (id int primary key, text text)`)
  await admin.query(`insert into things select id, repeat('x', 100) from generate_series(1, 1000) id`)
  await admin.query(`create publication all_things for table things`)
})

afterAll(async () => {
  await admin?.end()
  await publisher?.stop()
})

function publisherBinaries(): string {
  const system = findSystemPostgres({ major: MAJOR })
  if (system === null) throw new Error(`there is no PostgreSQL ${MAJOR} here; .ci/run installs postgresql-contrib`)
  return system.binDirectory
}

interface Pooled {
  readonly pgweir: Pgweir
  readonly target: Target
}

async function pooled(): Promise<Pooled> {
  const pgweir = await startPgweir({
    database,
    databases: [`replication = host=${database.host} port=${database.port}`],
    settings: { auth_type: 'scram-sha-256', default_pool_size: 5 },
  })
  return { pgweir, target: { ...database, port: pgweir.address.port } }
}

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'pgweir-followed-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

/** Makes a program stop after everything that is in the WAL now. It stops when it receives more. */
async function endPosition(): Promise<string> {
  const emit = () => admin.query<{ end: string }>(`select pg_logical_emit_message(true, 'test', 'the end') as end`)
  const { rows } = await emit()
  await emit()
  return `--endpos=${rows[0]?.end}`
}

async function succeeds(name: ProgramName, args: readonly string[], target: Target): Promise<Outcome> {
  const outcome = await run(name, args, target)
  if (outcome.code !== 0) throw new Error(`${name} ended with ${outcome.code}:\n${outcome.stdout}${outcome.stderr}`)
  return outcome
}

/** The last user of the slot may still be disconnecting, and the programs do not wait for that. */
async function untilFree(slot: string): Promise<void> {
  await until('the slot is free', async () => {
    const { rows } = await admin.query('select from pg_replication_slots where slot_name = $1 and not active', [slot])
    return rows.length === 1
  })
}

/** Replication clients leave nothing behind. */
async function expectNoFollowers(pgweir: Pgweir): Promise<void> {
  await until('no walsender is left', async () => {
    const { rows } = await admin.query(`select from pg_stat_activity where backend_type = 'walsender'`)
    return rows.length === 0
  })
  const servers = await pgweir.fleet.servers()
  expect(servers.filter(({ replication }) => replication !== 'none')).toEqual([])
}

describe('pg_basebackup', () => {
  test.each(['stream', 'fetch'])('takes a complete backup (-X %s)', async (how) => {
    const { pgweir, target } = await pooled()
    const path = await directory()
    await succeeds('pg_basebackup', ['-D', path, '-X', how, '-c', 'fast'], target)
    expect(await readdir(path)).toContain('backup_manifest')
    const { stdout } = await succeeds('pg_verifybackup', [path], target)
    expect(stdout).toContain('backup successfully verified')
    await expectNoFollowers(pgweir)
  })
})

test('a standby starts from a backup and follows the server, also after RECONNECT', async () => {
  const { pgweir, target } = await pooled()
  const path = await directory()
  await succeeds('pg_basebackup', ['-D', path, '-R', '-C', '-S', 'standby', '-c', 'fast'], target)
  // PostgreSQL does not run as root, even if root has taken the backup.
  const { uid, gid } = await stat(publisher.directory)
  await promisify(execFile)('chown', ['-R', `${uid}:${gid}`, path])
  await appendFile(join(path, 'postgresql.auto.conf'), `wal_retrieve_retry_interval = '100ms'\n`)
  const { user, password } = publisher
  const binDirectory = publisherBinaries()
  const standby = await startEmbeddedPostgres({ superuser: user, password, dataDirectory: path, binDirectory })
  onTestFinished(async () => {
    await standby.stop()
    await admin.query(`select pg_drop_replication_slot('standby')`)
  })
  const reader = new pg.Client({ host: standby.host, port: standby.port, user, password, database: database.database })
  await reader.connect()
  const has = async (id: number) => {
    const { rows } = await reader.query('select pg_is_in_recovery() as follows from things where id = $1', [id])
    return rows[0]?.follows === true
  }
  await admin.query(`insert into things values (4001, 'for the standby')`)
  await until('the standby has it', () => has(4001))
  await pgweir.fleet.control.reconnect(null)
  await admin.query(`insert into things values (4002, 'for the standby')`)
  await until('the standby has come back', () => has(4002), LONG_PATIENCE_MS)
  await reader.end()
  await admin.query('delete from things where id > 4000')
  await standby.stop()
  await expectNoFollowers(pgweir)
})

test('pg_receivewal writes the WAL of the server', async () => {
  const { pgweir, target } = await pooled()
  const path = await directory()
  await admin.query(`select pg_create_physical_replication_slot('received', true)`)
  await admin.query(`select pg_logical_emit_message(false, 'test', 'for the receiver')`)
  const { rows } = await admin.query<{ name: string }>('select pg_walfile_name(pg_switch_wal()) as name')
  const end = await endPosition()
  await succeeds('pg_receivewal', ['-D', path, '--slot', 'received', '--no-loop', '--synchronous', end], target)
  const name = rows[0]?.name ?? ''
  const received = await readFile(join(path, name))
  expect(received.includes('for the receiver')).toBe(true)
  const kept = await admin.query<{ file: Buffer }>(`select pg_read_binary_file('pg_wal/${name}') as file`)
  expect(received.equals(kept.rows[0]?.file ?? Buffer.alloc(0))).toBe(true)
  await untilFree('received')
  await succeeds('pg_receivewal', ['-D', path, '--drop-slot', '--slot', 'received'], target)
  await expectNoFollowers(pgweir)
})

test('pg_recvlogical prints the changes of its database', async () => {
  const { pgweir, target } = await pooled()
  const slot = ['-d', database.database, '--slot', 'printed']
  await succeeds('pg_recvlogical', [...slot, '--create-slot', '-P', 'test_decoding'], target)
  await admin.query(`insert into things values (2001, 'printed'); delete from things where id = 2001`)
  const end = await endPosition()
  const options = ['-o', 'include-xids=0', '-o', 'skip-empty-xacts=1']
  const { stdout } = await succeeds(
    'pg_recvlogical',
    [...slot, '--start', '--no-loop', '-f', '-', end, ...options],
    target,
  )
  const changes = stdout.split('\n').filter((line) => line !== '' && !line.startsWith('message:'))
  expect(changes).toEqual([
    'BEGIN',
    `table public.things: INSERT: id[integer]:2001 text[text]:'printed'`,
    'table public.things: DELETE: id[integer]:2001',
    'COMMIT',
  ])
  await untilFree('printed')
  await succeeds('pg_recvlogical', [...slot, '--drop-slot'], target)
  await expectNoFollowers(pgweir)
})

test('a subscription copies its tables and follows them, also after RECONNECT', async () => {
  const { pgweir, target } = await pooled()
  const { database: name } = await createDatabase()
  const subscriber = await adminClient(name)
  await subscriber.query('create table things (id int primary key, text text)')
  const where = `host=${target.host} port=${target.port} dbname=${target.database} user=follower password=${PASSWORD}`
  await subscriber.query(`create subscription things connection '${where}' publication all_things`)
  const count = async () => {
    const { rows } = await subscriber.query<{ count: number }>('select count(*)::int from things')
    return rows[0]?.count
  }
  await until('the table is copied', async () => (await count()) === 1000)
  await admin.query(`insert into things values (3001, 'followed')`)
  await until('the change has come', async () => (await count()) === 1001)
  // PostgreSQL does not recover if the connection is lost while the worker of the initial copy drops its slot.
  await until('the first copy is over', async () => {
    const { rows } = await subscriber.query(`select from pg_subscription_rel where srsubstate = 'r'`)
    return rows.length === 1
  })
  await pgweir.fleet.control.reconnect(null)
  await admin.query(`insert into things values (3002, 'followed')`)
  await until('the subscriber has come back', async () => (await count()) === 1002, LONG_PATIENCE_MS)
  await subscriber.query('drop subscription things')
  await admin.query('delete from things where id > 3000')
  const { rows } = await admin.query('select from pg_replication_slots')
  expect(rows).toEqual([])
  await expectNoFollowers(pgweir)
})

test('psql runs its queries on a replication connection', async () => {
  const { pgweir, target } = await pooled()
  const asFollower = `dbname=${target.database} replication=database`
  const commands = [
    '-X',
    '-At',
    '-c',
    'IDENTIFY_SYSTEM',
    '-c',
    'select count(*) from things',
    '-c',
    '\\copy (select 7) to stdout',
  ]
  const { stdout } = await succeeds('psql', [...commands, asFollower], target)
  expect(stdout).toMatch(/^\d+\|1\|[0-9A-F]+\/[0-9A-F]+\|followed\n1000\n7\n$/)
  await expectNoFollowers(pgweir)
})

test('pgbench runs its transactions on replication connections', async () => {
  const { pgweir, target } = await pooled()
  await succeeds('pgbench', ['-i', '-q', '-I', 'dtgp'], target)
  const many = ['-n', '-c', '4', '-j', '4', '-t', '25', `dbname=${target.database} replication=database`]
  const { stdout } = await succeeds('pgbench', ['-M', 'simple', ...many], target)
  expect(stdout).toContain('actually processed: 100/100')
  const refused = await run('pgbench', ['-M', 'prepared', ...many], target)
  expect(refused.stderr).toContain('extended query protocol not supported in a replication connection')
  await expectNoFollowers(pgweir)
})

test('psycopg2 can be a replication client', async () => {
  const { pgweir, target } = await pooled()
  const { stdout } = await succeeds('python', ['python/psycopg2/replication.py'], target)
  expect(stdout.trim().split('\n')).toEqual([
    '(True,)',
    ...[0, 1, 2].flatMap((id) => [
      'BEGIN',
      `table public.followed: INSERT: id[integer]:${id} text[text]:'${'x'.repeat(id)}'`,
      ...(id < 2 ? ['COMMIT'] : []),
    ]),
    'stopped',
    '(0,)',
    '4',
  ])
  await expectNoFollowers(pgweir)
})
