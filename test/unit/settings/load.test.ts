import { describe, expect, test } from 'vitest'
import { databaseFor, type LoadOptions, loadSettings } from '../../../src/settings/load.ts'
import { formatProblem } from '../../../src/settings/problem.ts'
import { SETTING_KEYS, SETTINGS } from '../../../src/settings/schema.ts'
import { GOOD_INI, loadText, virtualFiles } from './virtual-files.ts'

describe('where a value comes from', () => {
  test('an empty file gives PgBouncer’s defaults', () => {
    const { settings } = loadText('[pgbouncer]\n')
    expect(settings.general).toMatchObject({
      listen_addr: '127.0.0.1',
      listen_port: 6432,
      auth_type: 'md5',
      pool_mode: 'session',
      default_pool_size: 20,
      max_client_conn: 100,
      server_lifetime: 3_600_000,
      query_wait_timeout: 120_000,
      server_check_query: '<empty>',
      track_extra_parameters: ['IntervalStyle'],
      log_connections: true,
    })
    expect(settings.origins.listen_port).toEqual({ from: 'default', file: null, line: null })
  })

  test('flags override the environment, the environment overrides the file, and the file overrides defaults', () => {
    const { settings, told } = loadText(
      `${GOOD_INI}default_pool_size = 1\nmin_pool_size = 1\nreserve_pool_size = 1\n`,
      {
        env: { PGWEIR_DEFAULT_POOL_SIZE: '2', PGWEIR_MIN_POOL_SIZE: '2' },
        flags: { default_pool_size: '3' },
      },
    )
    expect(told).toEqual([])
    expect(settings.general).toMatchObject({
      default_pool_size: 3,
      min_pool_size: 2,
      reserve_pool_size: 1,
      listen_port: 6432,
    })
    expect(settings.origins).toMatchObject({
      default_pool_size: { from: 'flag' },
      min_pool_size: { from: 'environment' },
      reserve_pool_size: { from: 'ini', file: 'pgweir.ini', line: 7 },
    })
  })

  test('the section may also be called [pgweir]', () => {
    expect(loadText('[pgweir]\nlisten_port = 1\n').settings.general.listen_port).toBe(1)
  })

  test('every default can be written in a file and is read back as itself', () => {
    const lines = SETTING_KEYS.map((key) => {
      const { type, default: standard } = SETTINGS[key]
      return `${key} = ${(type.print as (value: unknown) => string)(standard)}`
    })
    const { settings, told } = loadText(`${GOOD_INI.replace('auth_type = any\n', '')}${lines.join('\n')}`, {
      flags: { auth_type: 'any' },
    })
    expect(told).toEqual([])
    expect(settings.general).toEqual({ ...loadText('[pgbouncer]').settings.general, auth_type: 'any' })
  })
})

describe('problems', () => {
  test('are reported all at once, in order of lines, and each setting keeps its default', () => {
    const { told, settings } = loadText(
      `[pgbouncer]
listen_port = 99999
default_pool_sise = 5
broken line
pool_mode = eager
server_lifetime = 5m
[database]
app = host=a
`,
    )
    expect(told).toEqual([
      'pgweir.ini:2: error: listen_port cannot be "99999": it must be a whole number from 0 to 65535',
      'pgweir.ini:3: error: there is no setting "default_pool_sise"; did you mean "default_pool_size"?',
      expect.stringContaining('pgweir.ini:4: error: this line is not "key = value"'),
      'pgweir.ini:5: error: pool_mode cannot be "eager": it must be one of session, transaction, statement',
      expect.stringContaining(
        'pgweir.ini:6: error: server_lifetime cannot be "5m": it must be a number of seconds, or a number with a unit',
      ),
      'pgweir.ini:7: error: there is no section "database"; did you mean "databases"?',
    ])
    expect(settings.general.listen_port).toBe(6432)
  })

  test('with flags and environment variables name the flag or variable', () => {
    const { told } = loadText(GOOD_INI, {
      env: { PGWEIR_LISTEN_PORT: 'x', PGWEIR_POOLMODE: 'session' },
      flags: { max_client_conn: '-1', default_pol_size: '1' },
    })
    expect(told).toEqual([
      'pgweir: error: PGWEIR_LISTEN_PORT cannot be "x": it must be a whole number from 0 to 65535',
      'pgweir: warning: the environment variable PGWEIR_POOLMODE is not a setting; did you mean "PGWEIR_POOL_MODE"?',
      'pgweir: error: --max-client-conn cannot be "-1": it must be a whole number',
      'pgweir: error: there is no setting "--default-pol-size"; did you mean "default_pool_size"?',
    ])
  })

  test('do not arise from the variables that Kubernetes sets for a service called pgweir', () => {
    const env = {
      PGWEIR_SERVICE_HOST: '10.0.0.1',
      PGWEIR_PORT: 'tcp://10.0.0.1:6432',
      PGWEIR_PORT_6432_TCP_ADDR: '10.0.0.1',
    }
    expect(loadText(GOOD_INI, { env }).told).toEqual([])
  })

  test('do not arise from variables of other programs; those of ours are in capital letters throughout', () => {
    const { settings, told } = loadText(GOOD_INI, {
      env: { MY_APP_DEFAULT_POOL_SIZ: '1', PGWEIR_default_pool_size: '1', PGWEIR_UPSTREAM: undefined },
    })
    expect(settings.general.default_pool_size).toBe(20)
    expect(told).toEqual([
      'pgweir: warning: the environment variable PGWEIR_default_pool_size is not a setting; did you mean "PGWEIR_DEFAULT_POOL_SIZE"?',
    ])
  })

  test('include a key given twice in one file, but not one that a second file overrides', () => {
    expect(loadText(`${GOOD_INI}verbose = 1\nverbose = 2\n[databases]\napp = host=b\n`).told).toEqual([
      'pgweir.ini:6: warning: verbose is already set on line 5; this line overrides it',
      'pgweir.ini:8: warning: database "app" is already set on line 2; this line overrides it',
    ])
    const files = virtualFiles({ 'a.ini': `${GOOD_INI}verbose = 1\n%include b.ini`, 'b.ini': 'verbose = 2' })
    const { settings, problems } = loadSettings({ iniFile: 'a.ini', files })
    expect(problems).toEqual([])
    expect(settings.general.verbose).toBe(2)
  })

  test('with syntax from other configuration files explain what differs here', () => {
    const text = [
      '[databases]',
      'app = host=db ; the first',
      'shop = postgres://db/shop',
      'listen_port = 6432',
      '[pgbouncer]',
      'listen_addr = 127.0.0.1 ; this machine',
      'pool_mode = transaction # always',
      'max_client_conn = "100"',
      "auth_file = 'userlist.txt'",
      'admin_users = ada, bob # both of us',
      'server_reset_query = RESET ALL ; SELECT "a"',
      'reports = host=db',
    ]
    const { problems } = loadText(text.join('\n'))
    const comment = 'a comment needs its own line'
    expect(problems.map(formatProblem)).toEqual([
      `pgweir.ini:2: error: database "app": expected key=value at character 9; ${comment}`,
      'pgweir.ini:3: error: database "shop": only --upstream takes a URL; write host=… port=… dbname=… instead',
      'pgweir.ini:4: error: "listen_port" is a setting, and belongs under [pgbouncer], not under [databases]',
      `pgweir.ini:6: warning: listen_addr: ${comment}; after a value, it is part of the value`,
      `pgweir.ini:7: error: pool_mode cannot be "transaction # always": it must be one of session, transaction, statement; ${comment}; after a value, it is part of the value`,
      'pgweir.ini:8: error: max_client_conn cannot be "\\"100\\"": it must be a whole number; the quotes are part of the value; remove them',
      'pgweir.ini:9: warning: auth_file: the quotes are part of the value; remove them',
      `pgweir.ini:10: warning: admin_users: ${comment}; after a value, it is part of the value`,
      'pgweir.ini:12: error: there is no setting "reports"; databases are defined under [databases]',
    ])
  })

  test('include having nothing to listen on, nothing to pool, and no way to log in', () => {
    expect(loadText(`${GOOD_INI}listen_addr =\n`).told).toEqual([])
    expect(loadText(`${GOOD_INI}listen_addr =\nunix_socket_dir =\n`).told).toEqual([
      'pgweir.ini:5: error: listen_addr and unix_socket_dir are both empty, so clients cannot connect; set at least one of them',
    ])
    expect(loadText('[pgbouncer]\nauth_type = any\n').told).toEqual([
      'pgweir.ini: warning: no databases are configured, so clients can only reach the admin console; add entries to [databases]',
    ])
    expect(loadText(`${GOOD_INI}auth_type = plain\n`).told.at(-1)).toBe(
      'pgweir.ini:5: warning: neither auth_file nor auth_user is set, so nobody can log in with auth_type = plain',
    )
    expect(loadText('[databases]\napp = host=a\n[pgbouncer]\nauth_type = trust\n').told).toEqual([
      'pgweir.ini:4: warning: neither auth_file nor auth_user is set, so nobody can log in with auth_type = trust',
    ])
    const looksUp = '[databases]\napp = host=a auth_user=asker\n[pgbouncer]\nauth_type = plain\n'
    expect(loadText(looksUp).told).toEqual([])
    expect(loadSettings({}).problems.map(formatProblem)).toEqual([
      expect.stringContaining('pgweir: error: no database is configured; pass a configuration file, --upstream'),
    ])
  })

  test('show only the start of a long value', () => {
    const [told] = loadText(`${GOOD_INI}verbose = ${'9'.repeat(1000)}\n`).told
    expect(told?.length).toBeLessThan(200)
  })
})

describe('values that pgweir does not support', () => {
  test('are errors if ignoring them would weaken security', () => {
    const lines = ['auth_type = peer']
    for (const line of lines)
      expect(loadText(`${GOOD_INI}${line}\n`).told, line).toContainEqual(
        expect.stringMatching(/^pgweir\.ini:5: error: .*it is a method of auth_hba_file/),
      )
  })

  test('are accepted silently if they ask for what happens anyway', () => {
    expect(loadText(`${GOOD_INI}client_tls_sslmode = disable\nunix_socket_dir =\n`).told).toEqual([])
  })

  test('give the same error in flags and in the environment', () => {
    expect(loadText(GOOD_INI, { env: { PGWEIR_AUTH_TYPE: 'peer' } }).told).toEqual([
      expect.stringContaining('error: PGWEIR_AUTH_TYPE cannot be "peer"'),
    ])
    expect(loadText(GOOD_INI, { flags: { auth_type: 'peer' } }).told).toEqual([
      expect.stringContaining('error: --auth-type cannot be "peer"'),
    ])
  })

  test('are never shown if they are secret', () => {
    expect(loadText(`${GOOD_INI}auth_ldap_options = ldapbindpasswd=secret\n`).told.join()).not.toContain('secret')
  })
})

describe('settings that have no effect', () => {
  test('are warned about with the reason', () => {
    expect(loadText(`${GOOD_INI}pkt_buf = 8192\n`, { flags: { sbuf_loopcnt: '1' } }).told).toEqual([
      'pgweir.ini:5: warning: pkt_buf has no effect: all connections are read into one buffer of 64 kB',
      expect.stringContaining('warning: --sbuf-loopcnt has no effect: '),
    ])
  })

  test('are accepted silently with their default values', () => {
    expect(loadText(`${GOOD_INI}pkt_buf = 4096\njob_name = pgbouncer\n`).told).toEqual([])
  })
})

describe('conffile', () => {
  const read = (options: LoadOptions) => loadSettings({ ...options, files: virtualFiles(GOOD_FILES) }).settings
  const GOOD_FILES = { 'a.ini': GOOD_INI, 'b.ini': `${GOOD_INI}conffile = c.ini\n` }

  test('is the file named on the command line', () => {
    expect(read({ iniFile: 'a.ini' }).general.conffile).toBe('a.ini')
  })

  test('is another file if the file says so', () => {
    expect(read({ iniFile: 'b.ini' }).general.conffile).toBe('c.ini')
  })

  test('is read if the command line names no file', () => {
    expect(read({ env: { PGWEIR_CONFFILE: 'a.ini' } })).toMatchObject({
      iniFile: 'a.ini',
      general: { conffile: 'a.ini' },
    })
    expect(read({ flags: { conffile: 'a.ini' } })).toMatchObject({ iniFile: 'a.ini' })
  })

  test('is overridden by the command line', () => {
    const { general, iniFile } = read({ iniFile: 'a.ini', env: { PGWEIR_CONFFILE: 'b.ini' } })
    expect({ conffile: general.conffile, iniFile }).toEqual({ conffile: 'a.ini', iniFile: 'a.ini' })
  })
})

describe('a database', () => {
  const read = (line: string, options = {}) => {
    const { settings, told } = loadText(`[pgbouncer]\nauth_type = any\n[databases]\n${line}\n`, options)
    return { settings, told, app: settings.databases.get('app') }
  }

  test('defaults to a server on this machine with the same database name and the general settings', () => {
    const { app, told } = read('app = port=5433')
    expect(told).toEqual([])
    expect(app).toEqual({
      name: 'app',
      host: '',
      load_balance_hosts: 'round-robin',
      port: 5433,
      dbname: 'app',
      user: null,
      password: null,
      pool_mode: null,
      pool_size: null,
      min_pool_size: null,
      reserve_pool_size: null,
      max_db_connections: null,
      max_db_client_connections: null,
      server_lifetime: null,
      query_wait_timeout: null,
      sslmode: null,
      sslnegotiation: 'postgres',
      auth_dbname: null,
      auth_query: null,
      auth_user: null,
      auto_prepare: null,
      connect_query: null,
      client_encoding: null,
      datestyle: null,
      timezone: null,
      application_name: null,
    })
  })

  test('may set everything in its line', () => {
    const { app, told } = read(
      "app = host=db dbname=shop user=ada password='p w' pool_mode=transaction pool_size=0 reserve_pool=3 server_lifetime=5min max_db_connections=0 connect_query='select 1'",
    )
    expect(told).toEqual([])
    expect(app).toMatchObject({
      host: 'db',
      dbname: 'shop',
      user: 'ada',
      password: 'p w',
      pool_mode: 'transaction',
      pool_size: 0,
      reserve_pool_size: 3,
      server_lifetime: 300_000,
      max_db_connections: null,
      connect_query: 'select 1',
    })
  })

  test('called * answers for every other name', () => {
    const { settings } = read('app = host=a\n* = host=b')
    expect(settings.databases.has('*')).toBe(false)
    expect(databaseFor(settings, 'app')).toMatchObject({ name: 'app', host: 'a', dbname: 'app' })
    expect(databaseFor(settings, 'shop')).toMatchObject({ name: 'shop', host: 'b', dbname: 'shop' })
    expect(databaseFor(read('* = host=b dbname=one').settings, 'shop')).toMatchObject({ name: 'shop', dbname: 'one' })
    expect(databaseFor(read('app = host=a').settings, 'shop')).toBeNull()
  })

  test('without a host needs a directory of unix sockets', () => {
    const text = '[pgbouncer]\nauth_type = any\nunix_socket_dir =\n[databases]\napp = port=5433\n* = port=5433\n'
    expect(loadText(text).told).toEqual([
      'pgweir.ini:5: error: database "app" has no host, and unix_socket_dir is empty; set host to say where its server is',
      'pgweir.ini:6: error: database "*" has no host, and unix_socket_dir is empty; set host to say where its server is',
    ])
  })

  test('cannot have the console as its auth_dbname, nor can the general setting', () => {
    const why = 'it is the admin console, which has no users to look up; name a PostgreSQL database'
    expect(read('app = host=a auth_dbname=pgbouncer\nb = host=b auth_dbname=pgweir').told).toEqual([
      `pgweir.ini:4: error: database "app": auth_dbname cannot be "pgbouncer": ${why}`,
      `pgweir.ini:5: error: database "b": auth_dbname cannot be "pgweir": ${why}`,
    ])
    expect(loadText(`${GOOD_INI}auth_dbname = pgbouncer\n`).told).toEqual([
      `pgweir.ini:5: error: auth_dbname cannot be "pgbouncer": ${why}`,
    ])
  })

  test('is named in the errors about it', () => {
    const { told } = read(
      'app = host=a,b port=0 prot=1 pool_mode=x port=1\npgbouncer = host=a\npgweir = host=a\nb = host=/tmp\nc = password=x',
    )
    expect(told).toEqual([
      'pgweir.ini:4: error: database "app": port cannot be "0": it must be a whole number from 1 to 65535',
      'pgweir.ini:4: error: database "app": there is no key "prot"; did you mean "port"?',
      'pgweir.ini:4: error: database "app": pool_mode cannot be "x": it must be one of session, transaction, statement',
      'pgweir.ini:4: warning: database "app": port appears more than once; the last value is used',
      'pgweir.ini:5: error: the name "pgbouncer" is reserved for the admin console',
      'pgweir.ini:6: error: the name "pgweir" is reserved for the admin console',
      'pgweir.ini:8: warning: database "c": the password is not used, because no user is set',
    ])
  })

  test.each([
    'app = user=a password=first secret',
    'app = user=a password=first secret=1',
    "app = user=a password='first secret",
    "app = user=a password='first'secret",
    'app = user=a password = first secret port=1',
    'app user=a password=secret',
    'app = user=a port=5432password=secret',
  ])('never has any part of its password shown: %s', (line) => {
    const { told } = read(line)
    expect(told).not.toEqual([])
    expect(told.join()).not.toMatch(/first|secret/)
  })

  test('can come from --database, which replaces a line of the file', () => {
    const { app, told, settings } = read('app = host=a', { databases: ['app=host=b pool_size=2', 'shop = host=c'] })
    expect(told).toEqual([])
    expect(app).toMatchObject({ host: 'b', pool_size: 2 })
    expect([...settings.databases.keys()]).toEqual(['app', 'shop'])
    expect(read('', { databases: ['secret'] }).told).toContainEqual(
      expect.stringContaining('error: --database must have the form'),
    )
  })
})

describe('--upstream', () => {
  const read = (upstream: string | null, env = {}) => {
    const { settings, problems } = loadSettings({ upstream, env, flags: { auth_type: 'any' } })
    return { fallback: settings.fallback, told: problems.map(formatProblem) }
  }

  test('is the login of clients if no file names users', () => {
    const load = (env: Record<string, string>) => loadSettings({ env })
    const { settings, problems } = load({ PGWEIR_UPSTREAM: 'postgres://ada:p%23w@db.example/' })
    expect(problems).toEqual([])
    expect(settings.upstreamLogin).toEqual({ user: 'ada', password: 'p#w' })
    const without = load({ PGWEIR_UPSTREAM: 'postgres://ada@db.example/' })
    expect(without.settings.upstreamLogin).toBeNull()
    expect(without.problems.map(formatProblem)).toEqual([expect.stringContaining('nobody can log in')])
  })

  test('is the database *', () => {
    const { fallback, told } = read('postgres://ada:pw@db.example:5433/')
    expect(told).toEqual([])
    expect(fallback).toMatchObject({
      name: '*',
      dbname: '*',
      host: 'db.example',
      port: 5433,
      user: 'ada',
      password: 'pw',
    })
  })

  test('may come from the environment, where ps does not show its password, and the flag overrides it', () => {
    const env = { PGWEIR_UPSTREAM: 'postgres://from-env/' }
    expect(read(null, env).fallback).toMatchObject({ host: 'from-env' })
    expect(read('postgres://from-flag/', env).fallback).toMatchObject({ host: 'from-flag' })
    expect(read(null, { PGWEIR_UPSTREAM: 'secret' }).told).toEqual([
      expect.stringMatching(/error: PGWEIR_UPSTREAM: expected a URL/),
    ])
  })

  test('may require TLS', () => {
    const { fallback } = read('postgres://db/?sslmode=require&sslnegotiation=direct')
    expect(fallback).toMatchObject({ host: 'db', sslmode: 'require', sslnegotiation: 'direct' })
  })

  test('is not repeated if it cannot be parsed', () => {
    expect(read('ada:secret@db').told.join()).not.toContain('secret')
  })
})

test('a user’s line may override general settings', () => {
  const { settings, told } = loadText(
    `${GOOD_INI}[users]\nada = pool_mode=session pool_size=0 query_timeout=2.5 max_user_connections=0\n"o'hara x" = pool_size=1\nbob = pool_sise=1`,
  )
  expect(settings.users.get('ada')).toEqual({
    name: 'ada',
    pool_mode: 'session',
    pool_size: 0,
    reserve_pool_size: null,
    max_user_connections: null,
    max_user_client_connections: null,
    query_timeout: 2500,
    query_wait_timeout: null,
    idle_transaction_timeout: null,
    transaction_timeout: null,
    auto_prepare: null,
    client_idle_timeout: null,
  })
  expect(settings.users.has("o'hara x")).toBe(true)
  expect(told).toEqual(['pgweir.ini:8: error: user "bob": there is no key "pool_sise"; did you mean "pool_size"?'])
})
