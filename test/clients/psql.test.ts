/** psql, interactive and with scripts. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { activity, untilNotRunning, untilRunning } from '../support/e2e/server-side.ts'
import { until } from '../support/e2e/until.ts'
import { adminClient, createDatabase } from '../support/postgres.ts'
import { promise, type Scenario } from './support/compare.ts'
import { poolOf } from './support/pgweir.ts'
import { run, start } from './support/program.ts'

const PSQL = ['-X', '--no-password']

function script(name: string): Scenario {
  return { program: 'psql', args: [...PSQL, '--echo-all', '-f', `psql/${name}.sql`] }
}

promise({
  'psql runs a script of queries and meta-commands': script('queries'),
  'psql gets the errors of PostgreSQL, and goes on': script('errors'),
  'psql copies in and out, and recovers from errors of COPY': script('copy'),
  'psql keeps its session state': { ...script('sessions'), modes: ['session'] },
  'psql changes settings, which follow it': script('settings'),
  'psql starts with settings from PGOPTIONS, which take effect': {
    program: 'psql',
    args: [
      ...PSQL,
      ...['-c', 'show search_path', '-c', 'show statement_timeout', '-c', 'show extra_float_digits'],
      ...['-c', 'select pg_sleep(10)', '-c', 'begin', '-c', 'show lock_timeout', '-c', 'rollback'],
    ],
    env: {
      PGOPTIONS: '-c search_path=one,"two\\ words" --statement-timeout=50ms -c extra_float_digits=0 -c lock_timeout=7s',
    },
  },
  'psql starts in a time zone, an encoding and with a name of its own': {
    program: 'psql',
    args: [
      ...PSQL,
      ...['-c', 'show timezone', '-c', 'show client_encoding', '-c', 'show datestyle'],
      ...['-c', 'select application_name from pg_stat_activity where pid = pg_backend_pid()'],
    ],
    env: { PGTZ: 'America/New_York', PGCLIENTENCODING: 'latin1', PGDATESTYLE: 'SQL, DMY', PGAPPNAME: 'a "name"' },
  },
  'psql runs a whole script in one transaction, and none of it if it fails': {
    program: 'psql',
    args: [...PSQL, '--echo-all', '-1', '-v', 'ON_ERROR_STOP=1', '-f', '-'],
    stdin: 'create table never (id int);\nselect 1 / 0;\n',
    exitCode: 3,
  },
  'psql reads a script from its standard input': {
    program: 'psql',
    args: [...PSQL],
    stdin: 'select 1;\n\\conninfo\nselect 2\n;\n\\q\n',
  },
  'psql receives a big result whole': {
    program: 'psql',
    args: [...PSQL, '-At', '-c', 'select i, repeat(md5(i::text), 30) from generate_series(1, 20000) i'],
  },
  'psql receives and sends big fields whole': {
    program: 'psql',
    args: [...PSQL, '-At', '-f', '-'],
    stdin: `select repeat('0123456789', 1600000);\nselect md5('${'x'.repeat(4_000_000)}');\n`,
  },
})

test.each(['session', 'transaction'] as const)(
  'psql stores a file as a large object and gets it back (%s mode)',
  async (mode) => {
    const directory = await mkdtemp(join(tmpdir(), 'pgweir-psql-'))
    onTestFinished(() => rm(directory, { recursive: true, force: true }))
    const [file, copy] = [join(directory, 'file'), join(directory, 'copy')]
    await writeFile(file, Buffer.alloc(300_000, 'some bytes '))
    const database = await createDatabase()
    const { target } = await poolOf(database, { mode, size: 1 })
    const commands = ['\\set QUIET on', `\\lo_import ${file}`, `\\lo_export :LASTOID ${copy}`, '\\lo_unlink :LASTOID']
    const stdin = [...commands, `\\! cmp ${file} ${copy} && echo the same`, '\\lo_unlink 1'].join('\n')
    expect(await run('psql', PSQL, target, { stdin })).toEqual({
      code: 0,
      stdout: 'the same\n',
      stderr: 'ERROR:  large object 1 does not exist\n',
    })
  },
)

test.each(['session', 'transaction'] as const)(
  'psql repeats a query with \\watch until it fails (%s mode)',
  async (mode) => {
    const { target } = await poolOf(await createDatabase(), { mode, size: 1 })
    const query = "select 'left: ' || 12 / (4 - nextval('countdown')) \\watch 0.01\n"
    const stdin = `create sequence countdown;\n${query}select 'behind';\n`
    const { code, stdout, stderr } = await run('psql', [...PSQL, '-At'], target, { stdin })
    expect([...stdout.matchAll(/left: \d+|behind/g)].flat()).toEqual(['left: 4', 'left: 6', 'left: 12', 'behind'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'ERROR:  division by zero\n' })
  },
)

test.each(['session', 'transaction'] as const)(
  'Ctrl-C in psql cancels the running query, and no other (%s mode)',
  async (mode) => {
    const database = await createDatabase()
    const { target } = await poolOf(database, { mode, size: 1 })
    const { process, outcome } = await start('psql', [...PSQL, '-c', 'select pg_sleep(600)'], target)
    await untilRunning(database, 'pg_sleep')
    process.kill('SIGINT')
    expect(await outcome).toEqual({ code: 1, stdout: '', stderr: CANCELLED })
    expect(await run('psql', [...PSQL, '-At', '-c', "select 'the next'"], target)).toMatchObject({
      stdout: 'the next\n',
    })
  },
)

test('Ctrl-C in a psql that waits for a server ends its wait', async () => {
  const database = await createDatabase()
  const { pgweir, target } = await poolOf(database, { mode: 'transaction', size: 1 })
  const holder = await start('psql', [...PSQL, '-c', 'select pg_sleep(600)'], target)
  await untilRunning(database, 'pg_sleep')
  const waiter = await start('psql', [...PSQL, '-c', 'select 1'], target)
  await until('the second waits', async () => (await pgweir.counts()).waiting === 1)
  waiter.process.kill('SIGINT')
  expect(await waiter.outcome).toEqual({ code: 1, stdout: '', stderr: CANCELLED })
  holder.process.kill('SIGINT')
  expect(await holder.outcome).toEqual({ code: 1, stdout: '', stderr: CANCELLED })
})

const CANCELLED = 'Cancel request sent\nERROR:  canceling statement due to user request\n'

test('a psql that is killed while a query runs costs its server, and does not affect other clients', async () => {
  const database = await createDatabase()
  const { target } = await poolOf(database, { mode: 'transaction', size: 1 })
  const { process, outcome } = await start('psql', [...PSQL, '-c', 'select pg_sleep(600)'], target)
  await untilRunning(database, 'pg_sleep')
  process.kill('SIGKILL')
  await outcome
  expect(await run('psql', [...PSQL, '-At', '-c', "select 'served'"], target)).toMatchObject({ stdout: 'served\n' })
  await untilNotRunning(database, 'pg_sleep')
})

test('the transaction of a psql that is killed is rolled back, and its end is logged once', async () => {
  const database = await createDatabase()
  const { pgweir, target } = await poolOf(database, { mode: 'transaction', size: 1 })
  const { process, outcome } = await start('psql', PSQL, target, { stdin: null })
  process.stdin.write('create table never (id int);\nbegin;\ninsert into never values (1);\n')
  const state = async () => (await activity(database)).map(({ state }) => state)
  await until('it is in its transaction', async () => (await state()).includes('idle in transaction'))
  process.kill('SIGKILL')
  await outcome
  expect(await run('psql', [...PSQL, '-At', '-c', 'select count(*) from never'], target)).toMatchObject({
    stdout: '0\n',
  })
  await until('both are gone', async () => (await pgweir.connections()) === 0)
  const ends = pgweir.log.filter((line) => / C-0x.* closing because: /.test(line))
  expect(ends).toEqual([
    expect.stringContaining('client unexpected eof'),
    expect.stringContaining('client close request'),
  ])
})

test.each([
  ['a wrong password', { password: 'wrong' }, 'FATAL:  SASL authentication failed'],
  ['an unknown user', { user: 'nobody' }, 'FATAL:  SASL authentication failed'],
] as const)('psql with %s gets the same error', async (_, given, sentence) => {
  const database = await createDatabase()
  const { target } = await poolOf(database, { mode: 'transaction' })
  const answer = await run('psql', [...PSQL, '-c', 'select 1'], { ...target, ...given })
  expect(answer).toMatchObject({ code: 2, stdout: '' })
  expect(answer.stderr).toContain(sentence)
})

test.each(['scram-sha-256', 'md5', 'password', 'trust'] as const)(
  'psql logs in with SCRAM, and pgweir to a server that asks for %s',
  async (method) => {
    const database = await createDatabase({ method })
    const { target } = await poolOf(database, { mode: 'transaction' })
    const answer = await run('psql', [...PSQL, '-At', '-c', 'select 1'], target)
    expect(answer).toEqual({ code: 0, stdout: '1\n', stderr: '' })
  },
)

test.each(['md5', 'plain', 'trust'])('psql logs in to pgweir with auth_type = %s', async (auth_type) => {
  const database = await createDatabase()
  const { target } = await poolOf(database, { mode: 'transaction', settings: { auth_type } })
  const answer = await run('psql', [...PSQL, '-At', '-c', 'select 1'], target)
  expect(answer).toEqual({ code: 0, stdout: '1\n', stderr: '' })
})

test('psql logs in if pgweir knows only the SCRAM secret that PostgreSQL stores', async () => {
  const database = await createDatabase()
  const admin = await adminClient()
  const { rows } = await admin.query('select rolpassword from pg_authid where rolname = $1', [database.user])
  const { target } = await poolOf(database, { mode: 'transaction', secret: rows[0].rolpassword })
  const answer = await run('psql', [...PSQL, '-At', '-c', 'select 1'], target)
  expect(answer).toEqual({ code: 0, stdout: '1\n', stderr: '' })
})

test('pg_isready reports that pgweir accepts connections', async () => {
  const database = await createDatabase()
  const { target } = await poolOf(database, { mode: 'transaction' })
  const answer = await run('pg_isready', [], target)
  expect(answer).toMatchObject({ code: 0, stdout: `127.0.0.1:${target.port} - accepting connections\n` })
})

test('psql shows the console in expanded form with \\x, and repeatedly with \\watch', async () => {
  const database = await createDatabase()
  const { target } = await poolOf(database, { mode: 'transaction', settings: { admin_users: database.user } })
  const stdin = '\\x\nshow version;\nshow state \\watch 1\n\\x\nshow lists;\n'
  const { process, outcome, said } = await start('psql', [...PSQL], { ...target, database: 'pgbouncer' }, { stdin })
  // In the pause between two commands: during a command, Ctrl-C would send a cancel request.
  await until('it has been answered again', () => said().split('suspended').length > 2)
  process.kill('SIGINT')
  const { code, stdout, stderr } = await outcome
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(/^-\[ RECORD 1 ]-+\nversion \| pgweir /m)
  expect(stdout.match(/suspended/g)?.length).toBeGreaterThan(1)
  expect(stdout).toMatch(/^ used_servers +\| +0$/m)
})
