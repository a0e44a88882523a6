import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { serialize } from 'pg-protocol'
import { expect, test } from 'vitest'
import { ManualClock } from '../../src/base/clock.ts'
import { startPooler } from '../../src/daemon/start.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { writeFiles } from '../support/e2e/files.ts'
import { type Pgweir, startPgweir } from '../support/e2e/pgweir.ts'
import { failureOf, until } from '../support/e2e/until.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()

/** The log lines without time, process id and whatever else differs from run to run. */
function story({ log }: Pgweir): string[] {
  const { user, database: dbname, port } = database
  return log.map((line) =>
    line
      .replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC \[\d+\] /, '')
      .replaceAll(user, 'USER')
      .replaceAll(dbname, 'DB')
      .replaceAll(`127.0.0.1:${port}`, 'SERVER')
      .replace(/127\.0\.0\.1:\d+/, 'ADDRESS')
      .replace(/([CS])-(0x)?[0-9a-f]+:/, '$1-ID:')
      .replace(/\(age=\d+s\)/, '(age=…)')
      .replace(/process up: .*/, 'process up: …'),
  )
}

test('a client and its server are logged from login to disconnect, in PgBouncer’s words', async () => {
  const pgweir = await startPgweir({ database })
  const client = await pgweir.raw()
  await client.ask(serialize.query('select 1'))
  await client.end()
  await until('it is gone', async () => (await pgweir.connections()) === 0)
  await pgweir.stop()
  const lines = story(pgweir).filter((line) => !/^LOG worker \d+ .* accepts clients$/.test(line))
  const login = lines.findIndex((line) => line.includes('login attempt'))
  // With several processes, each of them logs its start and its end.
  expect(new Set(lines.slice(0, login))).toEqual(new Set(['LOG listening on ADDRESS', 'LOG process up: …']))
  expect([...new Set(lines.slice(login))]).toEqual([
    'LOG C-ID: DB/USER@ADDRESS login attempt: db=DB user=USER tls=no replication=no',
    'LOG S-ID: DB/USER@SERVER new connection to server (from ADDRESS)',
    'LOG C-ID: DB/USER@ADDRESS closing because: client close request (age=…)',
    'LOG shutting down',
    'LOG S-ID: DB/USER@SERVER closing because: pooler is shutting down (age=…)',
  ])
})

test('a refused client is logged with the reason', async () => {
  const pgweir = await startPgweir({ database, settings: { max_client_conn: 1 } })
  await pgweir.client()
  await failureOf(pgweir.client())
  const isOfIt = (line: string) => line.includes('no more connections allowed')
  // The client receives the error before the pooler logs the end of the connection.
  await until('both lines are there', () => story(pgweir).filter(isOfIt).length === 2)
  expect(story(pgweir).filter(isOfIt)).toEqual([
    'WARNING C-ID: DB/USER@ADDRESS pooler error: no more connections allowed (max_client_conn) HINT: The setting is max_client_conn.',
    'LOG C-ID: DB/USER@ADDRESS closing because: no more connections allowed (max_client_conn) (age=…)',
  ])
})

test('a client that vanishes is logged, and what happens to its server', async () => {
  const pgweir = await startPgweir({ database })
  const client = await pgweir.raw()
  await client.ask(serialize.query('begin'))
  client.vanish()
  await until('it is gone', async () => (await pgweir.connections()) === 0)
  const lines = story(pgweir).slice(-2)
  expect(lines[0]).toMatch(
    /^LOG C-ID: DB\/USER@ADDRESS closing because: client unexpected eof.* \(age=…\) HINT: The client left during a transaction/,
  )
  expect(lines[1]).toMatch(
    /^LOG S-ID: DB\/USER@SERVER closing because: client disconnect while server was not ready \(age=…\) client=C-0x\w+ HINT: /,
  )
})

test('an error is logged before the client receives it', async () => {
  const pgweir = await startPgweir({ database, settings: { auth_type: 'scram-sha-256' } })
  for (let round = 0; round < 10; round++) {
    const before = pgweir.log.length
    await failureOf(pgweir.client({ password: 'wrong' }))
    expect(pgweir.log.slice(before).some((line) => line.includes('pooler error: SASL authentication failed'))).toBe(
      true,
    )
  }
})

test('log_connections, log_disconnections and log_pooler_errors turn log lines off', async () => {
  const settings = { log_connections: 0, log_disconnections: 0, log_pooler_errors: 0, max_client_conn: 1 }
  const pgweir = await startPgweir({ database, settings })
  const client = await pgweir.client()
  await failureOf(pgweir.client())
  await client.end()
  await until('it is gone', async () => (await pgweir.connections()) === 0)
  expect(story(pgweir).filter((line) => /[CS]-ID/.test(line))).toEqual([])
})

test('names that clients choose cannot forge a log line, and the log contains no secrets', async () => {
  const pgweir = await startPgweir({ database, settings: { auth_type: 'plain' } })
  await failureOf(pgweir.client({ user: 'x\n2024-01-01 LOG forged', password: 'never shown' }))
  await failureOf(pgweir.client({ password: 'never shown' }))
  const client = await pgweir.client()
  await client.query('select $1::text', ['never shown'])
  await failureOf(client.query('select $1::int', ['never shown']))
  for (const line of pgweir.log) {
    expect(line).not.toContain('\n')
    expect(line).not.toContain('never shown')
    expect(line).not.toContain(database.password)
  }
})

test('log_format = json writes one object per line', async () => {
  const pgweir = await startPgweir({ database, settings: { log_format: 'json', max_client_conn: 1 } })
  await pgweir.client()
  await failureOf(pgweir.client())
  const lines = pgweir.log.map((line) => JSON.parse(line))
  expect(lines.find(({ message }) => message.startsWith('login attempt'))).toMatchObject({
    ...{ level: 'info', database: database.database, user: database.user, client: expect.any(Number) },
  })
  const pids = (await pgweir.fleet.workers()).map(({ pid }) => pid)
  expect(lines.find(({ sqlstate }) => sqlstate)).toMatchObject({
    level: 'warning',
    message: 'pooler error: no more connections allowed (max_client_conn)',
    ...{ sqlstate: '53300', kind: 'too-many-clients' },
    pid: expect.toSatisfy((pid) => pids.includes(pid)),
  })
})

test('each stats_period ends with a log line with its averages', async () => {
  const clock = new ManualClock()
  const pgweir = await startPgweir({ database, clock, settings: { stats_period: 10 } })
  const client = await pgweir.client()
  for (let n = 0; n < 20; n++) await client.query('select 1')
  clock.advance(10_000)
  pgweir.sweep()
  expect(story(pgweir).at(-1)).toMatch(
    /^LOG stats: 2 xacts\/s, 2 queries\/s, 0 client parses\/s, 0 server parses\/s, 0 binds\/s, 0 client logins\/s, in \d+ B\/s, out \d+ B\/s, xact \d+ us, query \d+ us, wait \d+ us$/,
  )
})

test('log lines are written to logfile', async () => {
  const { directory, iniFile } = await writeFiles({ database })
  const logfile = join(directory, 'pgweir.log')
  const { settings } = loadSettings({ iniFile, flags: { logfile } })
  const pooler = await startPooler(settings, { isQuiet: true })
  await pooler.stop()
  const lines = (await readFile(logfile, 'utf8')).trimEnd().split('\n')
  expect(lines[0]).toMatch(/^\S+ \S+ UTC \[\d+\] LOG listening on 127\.0\.0\.1:\d+$/)
  expect(lines.at(-1)).toMatch(/LOG shutting down$/)
})

test('a slow query is logged in JSON with the client, the duration, the text and the trace', async () => {
  const parent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const pgweir = await startPgweir({ database, settings: { log_format: 'json', log_min_duration: '5ms' } })
  const client = await pgweir.client({ application_name: 'reports' })
  await client.query(`select pg_sleep($1), 'secret' /*route='%2Fx',traceparent='${parent}'*/`, [0.02])
  await client.end()
  const isSlow = (line: string) => line.includes('slow query')
  await until('it is logged', async () => pgweir.log.some(isSlow))
  const entry = JSON.parse(pgweir.log.find(isSlow) ?? '')
  expect(entry).toMatchObject({
    ...{ user: database.user, database: database.database, application: 'reports' },
    ...{ query: 'select pg_sleep($1), ?', traceparent: parent },
  })
  expect(entry.ms).toBeGreaterThanOrEqual(20)
  // Has the precision of a microsecond.
  expect(String(entry.ms)).toMatch(/^\d+(\.\d{1,3})?$/)
  expect(JSON.stringify(pgweir.log)).not.toContain('secret')
})
