import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { serialize } from 'pg-protocol'
import { describe, expect, test } from 'vitest'
import { writeFiles } from '../support/e2e/files.ts'
import { PROGRAM_FILE, Program, runProgram } from '../support/e2e/program.ts'
import { RawClient } from '../support/e2e/raw-client.ts'
import { activity, untilRunning } from '../support/e2e/server-side.ts'
import { Terminal } from '../support/e2e/terminal.ts'
import { until } from '../support/e2e/until.ts'
import { isInstalled } from '../support/installed.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase({ method: 'trust' })
const { user, host, port } = database

const IS_OVER = 'ErrorResponse FATAL 57P01 pooler is shutting down'

test('pgweir file.ini serves clients; SIGQUIT stops it at once and in an orderly way', async () => {
  const { program, raw } = await runProgram({ database })
  const client = await raw()
  expect(await client.ask(serialize.query('select 1'))).toContain('DataRow 1')
  program.kill('SIGQUIT')
  expect(await client.rest()).toEqual([IS_OVER])
  expect(await program.ended()).toBe(0)
  expect(program.stderr).toContain('shutting down')
  await until('no server is left', async () => (await activity(database)).length === 0)
})

test('when the primary process dies, each worker logs that, disconnects its clients with an error, ends, and releases the port', {
  timeout: 60_000,
}, async () => {
  const { program, raw, port, iniFile } = await runProgram({ database, settings: { workers: 2 } })
  const client = await raw()
  program.kill('SIGKILL')
  expect(await client.rest()).toEqual([IS_OVER])
  expect(await program.ended()).toBe('SIGKILL')
  expect(program.stderr.match(/ERROR the primary process is gone/g)).toHaveLength(2)
  await until('no server is left', async () => (await activity(database)).length === 0)
  await new Program([iniFile, '--listen-port', String(port)]).says(/listening on 127\.0\.0\.1:(\d+)/)
})

test('SIGINT waits for transactions, and then disconnects idle clients', async () => {
  const { program, raw } = await runProgram({ database, settings: { default_pool_size: 2 } })
  const [idle, busy] = [await raw(), await raw()]
  expect(await busy.ask(serialize.query('begin'))).toContain('ReadyForQuery T')
  program.kill('SIGINT')
  await program.says(/SHUTDOWN WAIT_FOR_SERVERS command issued/)
  expect(await busy.ask(serialize.query('select 1'))).toContain('DataRow 1')
  busy.send(serialize.query('commit'))
  expect(await busy.rest()).toEqual(['CommandComplete COMMIT', 'ReadyForQuery I', IS_OVER])
  expect(await idle.rest()).toEqual([IS_OVER])
  expect(await program.ended()).toBe(0)
  await until('no server is left', async () => (await activity(database)).length === 0)
})

test('SIGTERM with shutdown_grace and shutdown_timeout disconnects clients between transactions, and later the others', async () => {
  const { program, raw } = await runProgram({
    database,
    settings: { shutdown_grace: '100ms', shutdown_timeout: '1.5s', default_pool_size: 2 },
  })
  const [idle, busy] = [await raw(), await raw()]
  await busy.ask(serialize.query('begin'))
  program.kill('SIGTERM')
  expect(await idle.rest()).toEqual([IS_OVER])
  expect(await busy.rest()).toEqual([IS_OVER])
  expect(await program.ended()).toBe(0)
})

test('SIGTERM waits for clients to disconnect, and accepts no new ones', async () => {
  const { program, raw, port } = await runProgram({ database })
  const client = await raw()
  program.kill('SIGTERM')
  await program.says(/SHUTDOWN WAIT_FOR_CLIENTS command issued/)
  await until('new clients are refused', () =>
    RawClient.connect({ host: '127.0.0.1', port }).then(
      (early) => {
        early.vanish()
        return false
      },
      ({ code }) => code === 'ECONNREFUSED',
    ),
  )
  // Once it is ending, PAUSE and RESUME are refused.
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) {
    program.kill(signal)
    await program.says(new RegExp(`pgweir: ${signal}: pooler is shutting down`))
  }
  for (const signal of ['SIGHUP', 'SIGPIPE'] as const) program.kill(signal)
  await program.says(/RELOAD command issued/)
  expect(await client.ask(serialize.query('select 1'))).toContain('DataRow 1')
  await client.end()
  expect(await program.ended()).toBe(0)
  await until('no server is left', async () => (await activity(database)).length === 0)
})

test('SIGINT speeds up a shutdown by SIGTERM; a second SIGINT ends running queries', async () => {
  const { program, raw } = await runProgram({ database })
  const client = await raw()
  expect(await client.ask(serialize.query('begin'))).toContain('ReadyForQuery T')
  program.kill('SIGTERM')
  await program.says(/SHUTDOWN WAIT_FOR_CLIENTS command issued/)
  program.kill('SIGINT')
  await program.says(/SHUTDOWN WAIT_FOR_SERVERS command issued/)
  expect(await client.ask(serialize.query('select 1'))).toContain('DataRow 1')
  client.send(serialize.query('select pg_sleep(60)'))
  await untilRunning(database, 'pg_sleep(60)')
  program.kill('SIGTERM')
  expect((await client.rest()).at(-1)).toBe(IS_OVER)
  expect(await program.ended()).toBe(0)
  await until('no server is left', async () => (await activity(database)).length === 0)
})

test('SIGHUP reloads the file; SIGUSR1 and SIGUSR2 pause and resume', async () => {
  const { program, raw, iniFile } = await runProgram({ database })
  const client = await raw()
  await writeFile(iniFile, (await readFile(iniFile, 'utf8')).replace('default_pool_size = 1', 'default_pool_size = 3'))
  program.kill('SIGHUP')
  await program.says(/default_pool_size: 1 → 3/)
  await writeFile(iniFile, 'nonsense\n')
  program.kill('SIGHUP')
  await program.says(/pgweir: SIGHUP: RELOAD failed, see logs for additional details/)
  expect(program.stderr).toContain(`${iniFile}:1: error: this line is not "key = value"`)
  expect(program.stderr.match(/LOG got SIGHUP\n/g)).toHaveLength(2)

  expect(await client.ask(serialize.query('select 1'))).toContain('DataRow 1')
  program.kill('SIGUSR1')
  await program.says(/PAUSE command issued/)
  await until('no server is left', async () => (await activity(database)).length === 0)
  client.send(serialize.query('select 2'))
  program.kill('SIGUSR2')
  await program.says(/RESUME command issued/)
  expect(await client.lines()).toContain('DataRow 2')
  program.kill('SIGUSR2')
  await program.says(/pgweir: SIGUSR2: pooler is not paused\/suspended/)
  await client.end()
  program.kill('SIGTERM')
  expect(await program.ended()).toBe(0)
})

test('after SIGKILL, pgweir leaves no connection to PostgreSQL behind', async () => {
  const { program, raw } = await runProgram({ database })
  const client = await raw()
  await client.ask(serialize.query('select 1'))
  program.kill('SIGKILL')
  expect(await program.ended()).toBe('SIGKILL')
  await until('no server is left', async () => (await activity(database)).length === 0)
})

test('pgweir can be configured by flags and the environment alone', async () => {
  const flags = ['--database', `pooled=host=${host} port=${port} dbname=${database.database}`, '--listen-port', '0']
  const program = new Program([...flags, '--auth-type', 'any'], { PGWEIR_POOL_MODE: 'transaction' })
  const listening = Number(await program.says(/listening on 127\.0\.0\.1:(\d+)/))
  const client = await RawClient.connect({ host: '127.0.0.1', port: listening })
  await client.logIn({ user, database: 'pooled' })
  expect(await client.ask(serialize.query('select current_database()'))).toContain(`DataRow ${database.database}`)
  await client.end()
  program.kill('SIGINT')
  expect(await program.ended()).toBe(0)
})

test('--upstream pools any database that clients ask for', async () => {
  const upstream = ['--upstream', `postgres://${user}@${host}:${port}/`]
  const program = new Program([...upstream, '--listen-port', '0', '--auth-type', 'any', '-q'])
  // With -q it does not print its port, so check only that it ends without a problem. The next one prints its port.
  program.kill('SIGTERM')
  expect([0, 'SIGTERM']).toContain(await program.ended())
  const loud = new Program([...upstream, '--listen-port', '0', '--auth-type', 'any'])
  const listening = Number(await loud.says(/listening on 127\.0\.0\.1:(\d+)/))
  const client = await RawClient.connect({ host: '127.0.0.1', port: listening })
  await client.logIn({ user, database: database.database })
  expect(await client.ask(serialize.query('select current_user'))).toContain(`DataRow ${user}`)
  client.vanish()
  loud.kill('SIGTERM')
  expect(await loud.ended()).toBe(0)
})

test('in a container, the environment is enough: clients log in with the user and password of the upstream', async () => {
  const program = new Program([], {
    PGWEIR_UPSTREAM: `postgres://${user}:s%23cret@${host}:${port}/`,
    PGWEIR_LISTEN_PORT: '0',
    PGWEIR_UNIX_SOCKET_DIR: '',
    PGWEIR_AUTH_TYPE: 'scram-sha-256',
  })
  const listening = Number(await program.says(/listening on 127\.0\.0\.1:(\d+)/))
  const connect = async (password: string) => {
    const client = new Client({ host: '127.0.0.1', port: listening, user, password, database: database.database })
    await client.connect()
    return client
  }
  await expect(connect('other')).rejects.toThrow('SASL authentication failed')
  const client = await connect('s#cret')
  expect((await client.query('select current_user as name')).rows).toEqual([{ name: user }])
  await client.end()
  program.kill('SIGTERM')
  expect(await program.ended()).toBe(0)
})

test('pgweir check reports that a valid file is fine', async () => {
  const { iniFile } = await writeFiles({ database })
  const program = new Program(['check', iniFile])
  expect(await program.ended()).toBe(0)
  const lines = program.stdout.trimEnd().split('\n')
  expect(lines.pop()).toMatch(/^.*: note: .* docs\/migrating-from-pgbouncer\.md#what-is-different$/)
  expect(lines.pop()?.slice(iniFile.length)).toMatch(/^: \d+ settings, 1 database and 1 user are fine$/)
  const isNote = (line: string) => line.startsWith(iniFile) && /^(:\d+)?: note: /.test(line.slice(iniFile.length))
  expect(lines.every(isNote)).toBe(true)
})

test('pgweir check reports all problems at once, with file and line, and the pooler does not start with them', async () => {
  const { directory, iniFile } = await writeFiles({ database })
  const bad = join(directory, 'bad.ini')
  await writeFile(
    bad,
    [
      '[databases]',
      'app = host=127.0.0.1 prot=5432',
      '[pgbouncer]',
      'pool_mod = session',
      'default_pool_size = many',
      `%include ${iniFile}`,
      '',
    ].join('\n'),
  )
  const program = new Program(['check', bad])
  expect(await program.ended()).toBe(1)
  const lines = program.stdout.trimEnd().split('\n')
  expect(lines).toHaveLength(4)
  expect(lines[0]).toMatch(new RegExp(`^${bad}:2: .*"prot".*"port"`))
  expect(lines[1]).toMatch(new RegExp(`^${bad}:4: .*"pool_mod".*"pool_mode"`))
  expect(lines[2]).toMatch(new RegExp(`^${bad}:5: .*default_pool_size.*"many"`))
  expect(lines[3]).toBe(`${bad}: 3 errors`)
  const started = new Program([bad])
  expect(await started.ended()).toBe(1)
  expect(started.stderr).toContain(`${bad}:4: `)
})

test('a missing file, an unknown flag and a port in use are reported', async () => {
  const missing = new Program(['/nowhere/pgweir.ini'])
  expect(await missing.ended()).toBe(1)
  expect(missing.stderr).toContain('/nowhere/pgweir.ini')
  const unknown = new Program(['--defualt-pool-size', '5'])
  expect(await unknown.ended()).toBe(1)
  expect(unknown.stderr).toContain('--default-pool-size')
  const first = await runProgram({ database })
  const { iniFile } = await writeFiles({ database, settings: { listen_port: first.port } })
  const second = new Program([iniFile])
  expect(await second.ended()).toBe(1)
  expect(second.stderr).toContain('listen_port: cannot listen on ')
  expect(second.stderr).toContain('EADDRINUSE')
  expect(second.stderr).not.toContain('    at ')
})

test('a pidfile that cannot be written is reported with its setting, and none is left behind', async () => {
  const { directory, iniFile } = await writeFiles({ database })
  const pidfile = join(directory, 'pgweir.pid')
  // As on a full disk: the file can be created, but takes no bytes.
  const command = ['-c', 'ulimit -f 0; exec "$@"', 'sh', process.execPath, PROGRAM_FILE, iniFile, '--pidfile', pidfile]
  const env = { PATH: process.env['PATH'], PGWEIR_ALLOW_ROOT: '1' }
  const { stderr, status } = spawnSync('sh', command, { env, encoding: 'utf8' })
  expect(stderr).toContain('pidfile cannot be written: EFBIG')
  expect(status).toBe(1)
  expect(existsSync(pidfile)).toBe(false)
})

test.each([1, 2])('a missing file is reported with the setting that names it, workers = %d', async (workers) => {
  const missing = { client_tls_key_file: '/nowhere/key', client_tls_cert_file: '/nowhere/certificate' }
  const settings = { workers, client_tls_sslmode: 'require', ...missing }
  const { iniFile } = await writeFiles({ database, settings })
  const lacking = new Program([iniFile])
  expect(await lacking.ended()).toBe(1)
  expect(lacking.stderr).toMatch(new RegExp(`^${iniFile}:\\d+: error: client_tls_key_file .*ENOENT`))

  const { iniFile: other } = await writeFiles({ database, settings: { workers, resolv_conf: '/nowhere/resolv.conf' } })
  const nameless = new Program([other])
  expect(await nameless.ended()).toBe(1)
  expect(nameless.stderr).toContain('pgweir: error: resolv_conf cannot be used: ENOENT')
})

test('--version and --help print and exit', async () => {
  const version = new Program(['--version'])
  expect(await version.ended()).toBe(0)
  expect(version.stdout).toMatch(/^pgweir \d+\.\d+\.\d+\n/)
  const help = new Program(['--help'])
  expect(await help.ended()).toBe(0)
  expect(help.stdout).toContain('--default-pool-size')
})

describe('pgweir console', () => {
  /** Starts a pooler and runs `pgweir console` with `typed` as its input. */
  async function talkTo(args: readonly string[], typed?: string) {
    const { iniFile, port } = await runProgram({
      database,
      settings: { admin_users: 'root', stats_users: 'bob' },
      secrets: { root: 'r', bob: 'b', [user]: '' },
    })
    const where = ['--config', iniFile, '--port', String(port)]
    const talk = new Program(['console', ...where, ...args], { PGPASSWORD: 'r' })
    talk.type(typed ?? '')
    const code = await talk.ended()
    return { code, out: talk.stdout, err: talk.stderr }
  }

  test('prints JSON for scripts, an array of objects for each command', async () => {
    const { code, out, err } = await talkTo(['-U', 'root', '--json', 'show state; reload', '-c', 'show lists'])
    const [lists, state, reload] = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lists).toContainEqual({ list: 'databases', items: 2 })
    expect(state).toEqual([
      { key: 'active', value: 'yes' },
      { key: 'paused', value: 'no' },
      { key: 'suspended', value: 'no' },
    ])
    expect({ reload, err, code }).toEqual({ reload: [], err: '', code: 0 })
  })

  test('succeeds if the pooler stops because of its SHUTDOWN', async () => {
    const { code, err } = await talkTo(['-U', 'root', 'shutdown'])
    expect({ code, err }).toEqual({ code: 0, err: '' })
  })

  test.runIf(isInstalled('script'))('ends its prompt without an error after SHUTDOWN', async () => {
    const { iniFile, port, program } = await runProgram({ database, settings: { auth_type: 'any' } })
    const terminal = new Terminal(['console', '--config', iniFile, '--port', String(port), '-U', 'ada'])
    await terminal.shows('pgweir=# ')
    terminal.type('shutdown\r')
    expect({ code: await terminal.ended(), shown: terminal.shown.includes('the console of') }).toEqual({
      ...{ code: 0, shown: false },
    })
    expect(await program.ended()).toBe(0)
  })

  test('reads commands from a pipe, and exits with 1 at the first ERROR, which goes to standard error', async () => {
    const { code, out, err } = await talkTo(['-U', 'bob'], 'show version;\nreload;\nshow state\n')
    expect(out).toContain('(1 row)')
    expect(out).not.toContain('active')
    expect({ code, err }).toEqual({ code: 1, err: 'ERROR:  admin access needed\nHINT:  The setting is admin_users.\n' })
  })

  test('connects by an abstract socket that the file or a flag names', async () => {
    const unix_socket_dir = `@pgweir-console-${process.pid}`
    const { iniFile, port } = await runProgram({ database, settings: { unix_socket_dir } })
    for (const place of [
      ['--config', iniFile],
      ['--host', unix_socket_dir],
    ]) {
      const talk = new Program(['console', ...place, '--port', String(port), '--json', 'show state'])
      expect({ code: await talk.ended(), err: talk.stderr }).toEqual({ code: 0, err: '' })
      expect(talk.stdout).toContain('{"key":"active","value":"yes"}')
    }
  })

  test('exits with 2 if it cannot log in', async () => {
    const { code, err } = await talkTo(['-U', 'eve', 'show version'])
    expect(code).toBe(2)
    expect(err).toMatch(/the console of 127\.0\.0\.1:\d+, as eve: /)
  })
})

test.each([
  ['--help', 0],
  ['check', 1],
])('%s exits with its usual code if its output is not read', async (command, code) => {
  const program = new Program(command === 'check' ? [command, '/no/such/pgweir.ini'] : [command])
  program.stopReading()
  expect(await program.ended()).toBe(code)
  expect(program.stderr).toBe('')
})
