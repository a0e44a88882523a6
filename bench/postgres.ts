/** The PostgreSQL that everything is measured with: embedded, temporary, and configured to influence the figures as little as possible. */

import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/embedded/postgres.ts'
import type { KeyPair } from './encryption.ts'
import { createTables, type Place } from './pgbench.ts'

/** How clients log in to the poolers and to PostgreSQL directly. */
export type Login = 'trust' | 'scram'

export interface BenchPostgres {
  readonly version: string
  /** The pid of the server's first process. */
  readonly pid: number
  readonly host: string
  readonly port: number
  readonly database: string
  readonly accounts: Readonly<Record<Login, Account>>
  /** Its certificate and key for TLS. */
  readonly keys: KeyPair
  stop(): Promise<void>
}

export interface Account {
  readonly user: string
  readonly password: string
  /** The password as the server stores it, for the poolers' auth_file; empty if there is none. */
  readonly secret: string
}

const DATABASE = 'bench'

const SETTINGS = {
  max_connections: '300',
  shared_buffers: '256MB',
  autovacuum: 'off',
  jit: 'off',
  checkpoint_timeout: '1h',
  max_wal_size: '4GB',
}

/** pgbench's own unit: 100,000 rows. */
export const SCALE = 5

/** A table to send rows to. */
export const SINK = 'bench_sink'

export async function startPostgres(
  hasPgbench: boolean,
  keys: KeyPair,
  say: (sentence: string) => void,
): Promise<BenchPostgres> {
  const postgres = await startEmbeddedPostgres({
    superuser: 'postgres',
    password: randomBytes(12).toString('hex'),
    settings: { ...SETTINGS, ssl: 'on', ssl_key_file: keys.key, ssl_cert_file: keys.certificate },
    hba: () => ['host all bench_trust 127.0.0.1/32 trust'],
    onProgress: say,
  })
  try {
    const { host, port, version } = postgres
    const accounts = await createAccounts(postgres)
    if (hasPgbench) {
      say('filling the tables of pgbench')
      await fillTables(postgres)
    }
    await createSink(postgres)
    const pid = await pidOf(postgres)
    return { version, pid, host, port, database: DATABASE, accounts, keys, stop: () => postgres.stop() }
  } catch (problem) {
    await postgres.stop()
    throw problem
  }
}

/** PostgreSQL writes its pid to the first line of a file in its data directory. */
async function pidOf({ directory }: EmbeddedPostgres): Promise<number> {
  return Number.parseInt(await readFile(join(directory, 'data', 'postmaster.pid'), 'latin1'), 10)
}

async function createAccounts(postgres: EmbeddedPostgres): Promise<Record<Login, Account>> {
  const password = randomBytes(12).toString('hex')
  const admin = await connectAsAdmin(postgres, 'postgres')
  try {
    await admin.query(`create role bench_trust login; create role bench_scram login password '${password}'`)
    await admin.query(`create database ${DATABASE}`)
    const { rows } = await admin.query<{ secret: string }>(
      "select rolpassword as secret from pg_authid where rolname = 'bench_scram'",
    )
    return {
      trust: { user: 'bench_trust', password: '', secret: '' },
      scram: { user: 'bench_scram', password, secret: rows[0]?.secret ?? '' },
    }
  } finally {
    await admin.end()
  }
}

async function fillTables(postgres: EmbeddedPostgres): Promise<void> {
  const { host, port, user, password } = postgres
  const place: Place = { host, port, user, password, database: DATABASE, encryption: 'none' }
  await createTables(place, SCALE)
  const admin = await connectAsAdmin(postgres, DATABASE)
  await admin.query('grant select on all tables in schema public to public')
  await admin.end()
}

async function createSink(postgres: EmbeddedPostgres): Promise<void> {
  const admin = await connectAsAdmin(postgres, DATABASE)
  await admin.query(`create unlogged table ${SINK} (line text); grant insert on ${SINK} to public`)
  await admin.end()
}

async function connectAsAdmin({ host, port, user, password }: EmbeddedPostgres, database: string): Promise<pg.Client> {
  const client = new pg.Client({ host, port, user, password, database })
  await client.connect()
  return client
}
