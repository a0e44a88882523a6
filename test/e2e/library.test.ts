/** The library: a pooler inside another program. */

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Client } from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { startPooler } from '../../src/daemon/library.ts'
import { until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase({ method: 'trust' })
const { user, host, port } = database

async function connect(
  pooler: { readonly addresses: readonly { host: string; port: number }[] },
  name = database.database,
) {
  const [address] = pooler.addresses
  const client = new Client({ ...address, user, password: 'pw', database: name })
  await client.connect()
  return client
}

test('a pooler in a program can be started with a URL alone, and returns the state of its pools', async () => {
  const lines: string[] = []
  const pooler = await startPooler({
    upstream: `postgres://${user}:pw@${host}:${port}/`,
    settings: { pool_mode: 'transaction', default_pool_size: 1, log_stats: false },
    onLog: (line) => lines.push(line),
  })
  expect(pooler.addresses).toMatchObject([{ host: '127.0.0.1' }])
  const [one, other] = [await connect(pooler), await connect(pooler)]
  await one.query('begin')
  const waiting = other.query('select 1 as one')
  await until('it waits', async () => (await pooler.snapshot()).some(({ clients }) => clients.waiting === 1))
  expect((await pooler.snapshot()).find((pool) => pool.user === user)).toMatchObject({
    database: database.database,
    mode: 'transaction',
    clients: { active: 1, waiting: 1 },
    servers: { active: 1, idle: 0, opening: 0, all: 1 },
  })
  await one.query('commit')
  expect((await waiting).rows).toEqual([{ one: 1 }])
  await one.end()
  await other.end()
  await pooler.stop()
  expect(lines.some((line) => line.includes('login attempt'))).toBe(true)
})

test('a pooler in a program can be started with database entries', async () => {
  const entry = `host=${host} port=${port} dbname=${database.database}`
  const pooler = await startPooler({ databases: { 'a name': entry, '*': entry }, settings: { auth_type: 'any' } })
  for (const name of ['a name', 'whatever']) {
    const client = await connect(pooler, name)
    expect((await client.query('select current_database() as name')).rows).toEqual([{ name: database.database }])
    await client.end()
  }
  await pooler.stop()
})

test('a pooler in a program neither changes its user nor writes files, and logs which settings have no effect', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pgweir-library-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'pgweir.ini')
  writeFileSync(
    file,
    `[pgbouncer]
auth_type = any
user = nobody
logfile = ${folder}/log
pidfile = ${folder}/pid
[databases]
app = host=${host} port=${port} dbname=${database.database}
`,
  )
  const lines: string[] = []
  const uid = process.getuid?.()
  const pooler = await startPooler({ iniFile: file, onLog: (line) => lines.push(line) })
  onTestFinished(() => pooler.stop())
  expect(process.getuid?.()).toBe(uid)
  expect(readdirSync(folder)).toEqual(['pgweir.ini'])
  expect(lines.flatMap((line) => /(\w+) has no effect/.exec(line)?.[1] ?? [])).toEqual(['user', 'logfile', 'pidfile'])
})

test('a pooler in a program can be started with a file, by default on a free port without a unix socket, and can reload the file', async () => {
  const entry = `host=${host} port=${port} dbname=${database.database}`
  const file = join(mkdtempSync(join(tmpdir(), 'pgweir-library-')), 'pgweir.ini')
  onTestFinished(() => rmSync(dirname(file), { recursive: true }))
  const text = `[pgbouncer]\nauth_type = any\n[databases]\napp = ${entry}\n`
  writeFileSync(file, text)
  const poolers = [await startPooler({ iniFile: file }), await startPooler({ iniFile: file })] as const
  expect(poolers.map(({ addresses }) => addresses.length)).toEqual([1, 1])
  expect(poolers[0].addresses).not.toEqual(poolers[1].addresses)

  writeFileSync(file, `${text}later = ${entry}\n`)
  const console = await connect(poolers[0], 'pgweir')
  await console.query('reload')
  await console.end()
  const client = await connect(poolers[0], 'later')
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  await client.end()
  for (const pooler of poolers) await pooler.stop()
})

test.each([
  [{ upstream: 'nonsense' }, '--upstream: expected a URL'],
  [{ upstream: 'postgres://db/', settings: { pool_mod: 'x' } }, 'pool_mod'],
  [
    { upstream: 'postgres://ada:pw@db/', settings: { workers: 2 } },
    'workers = 2 is not possible inside another program',
  ],
  [{}, 'no database is configured'],
])('a pooler in a program refuses invalid options: %o', async (options, sentence) => {
  await expect(startPooler(options)).rejects.toThrow(sentence)
})
