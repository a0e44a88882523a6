/**
 * The consoles of Debian's PgBouncer (1.18) and of pgweir with the same file. Users must not be able to tell which of them it is,
 * except for differences that come from later versions, or that are improvements: all of them are listed here with the reason, and must exist.
 */

import { serialize } from 'pg-protocol'
import { describe, expect, test } from 'vitest'
import { errorFields, type RawClient, type Reply } from '../support/e2e/raw-client.ts'
import { createDatabase } from '../support/postgres.ts'
import { ask, columns, type Files, type Pooler, table, toldAlike, underBoth } from './support/pgbouncer.ts'

const database = await createDatabase({ method: 'trust' })
const { user } = database

const at = `host=${database.host} port=${database.port} dbname=${database.database}`

const FILES: Files = {
  'pgbouncer.ini': `
[databases]
app = ${at} pool_size=2
forced = ${at} user=${user} password=secret max_db_connections=3
many = host=127.0.0.1,localhost port=1 connect_query='select 1' reserve_pool=3 min_pool_size=1 auth_user=looker
socket =
[users]
limited = pool_mode=transaction max_user_connections=5
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir = {directory}
auth_type = trust
auth_file = {directory}/userlist.txt
admin_users = admin
stats_users = looker, other
ignore_startup_parameters = extra_float_digits, geqo
server_lifetime = 1200.5
pool_mode = transaction
`,
  'userlist.txt': `"${user}" ""\n"admin" "a"\n"looker" "l"\n"limited" ""\n`,
}

/** Commands that are sent to the console one after the other. */
const COMMANDS = [
  ...['show help', 'show', 'show nothing', 'show pools app', 'show stats_users', 'nothing', 'reload x', 'shutdown x'],
  ...['pause nowhere', 'resume nowhere', 'disable nowhere', 'enable nowhere', 'kill nowhere', 'reconnect nowhere'],
  ...['wait_close nowhere', 'disable', 'enable', 'resume', 'resume app'],
  ...['pause pgbouncer', 'resume pgbouncer', 'kill pgbouncer', 'disable pgbouncer', 'enable pgbouncer'],
  ...['reconnect pgbouncer', 'wait_close pgbouncer'],
  ...['pause app', 'suspend', 'PAUSE "app";', 'resume app ;', 'disable app', 'DISABLE app', 'enable app', 'ENABLE app'],
  ...['kill app', 'Resume app ;', 'reconnect', 'reconnect app', 'wait_close', 'wait_close app', 'pause many'],
  ...[
    'resume many',
    'pause',
    'suspend  ',
    'pause  ',
    'RESUME',
    'suspend;',
    'suspend ;',
    'pause ;',
    'resume;',
    'reload',
  ],
  ...['set default_pool_size = 5', "set query_timeout to '5'", "set query_timeout = '0.5'", 'set query_timeout=0'],
  ...["set query_timeout = '7';", 'set query_timeout=1.5', 'set query_timeout 7', 'RELOAD;', 'set nothing = 1'],
  ...['set default_pool_size = many', "set default_pool_size = ''", 'set pool_mode = nonsense', 'set verbose = on'],
  ...['set pool_mode=Transaction', 'set', 'set a', 'set default_pool_size', 'set session x = y'],
  ...['set listen_port = 1', 'set max_client_conn=0x10', 'set max_client_conn = 010', 'set max_client_conn=100'],
  ...['show client_encoding', 'show datestyle', 'show timezone', 'show default_transaction_isolation'],
  ...[
    'show standard_conforming_strings',
    'set client_encoding to utf8',
    "set datestyle = 'ISO'",
    'set timezone to utc',
  ],
  ...['set default_transaction_isolation = serializable', 'set standard_conforming_strings = on'],
  ...['set extra_float_digits = 3', 'set application_name = x', 'show fds', 'kill_client x', 'kill'],
  ...['', 'select 1', 'discard all', 'show dns_zones; show dns_zones', '-- why\nshow dns_zones'],
] as const

/** Commands that are sent by one of stats_users. */
const LOOKS = [
  ...['show dns_hosts', 'show fds', 'pause', 'reload', 'set a = b', 'set query_timeout = 1', 'kill app', 'shutdown'],
  ...['nothing', 'show nothing', 'set client_encoding to x'],
] as const

/** The commands that get a different answer, and why. */
const INTENDED: Readonly<Record<string, string>> = {
  'enable pgbouncer': 'the tag is that of the command, as in later versions',
  'pause  ': 'is no error: a client that has lost the answer to a PAUSE may repeat it',
  'set query_timeout=1.5': 'a fraction is accepted without quotes, too',
  'set listen_port = 1': 'reports that a restart is needed, instead of doing nothing',
  'set max_client_conn=0x10': 'is refused instead of being read as hexadecimal',
  'set max_client_conn = 010': 'is refused instead of being read as octal',
  'show client_encoding': 'is written as at login',
  'set extra_float_digits = 3': 'is ignored, as in later versions',
  'set application_name = x': 'is ignored like other settings that drivers send',
  'show fds': 'is not supported: see the migration guide',
  'kill_client x': 'came with later versions',
  kill: 'means all databases, as in later versions',
  '': 'is an empty query, as in PostgreSQL: drivers send it to test a connection',
  'select 1': 'is answered, as drivers expect',
  'discard all': 'is answered, as drivers expect',
  'show dns_zones; show dns_zones': 'several commands may be sent at once',
  '-- why\nshow dns_zones': 'comments are allowed',
}

const SOCKETS = ['replication', 'prepared_statements', 'id']
const PARSES = ['client_parse_count', 'server_parse_count', 'bind_count']
const COUNTS = ['server_assignment_count', ...PARSES, 'client_login_count']

/** The columns of each SHOW that were added in later versions. */
const NEWER_COLUMNS: Readonly<Record<string, readonly string[]>> = {
  clients: SOCKETS,
  servers: SOCKETS,
  sockets: SOCKETS,
  active_sockets: SOCKETS,
  pools: ['load_balance_hosts'],
  databases: ['server_lifetime', 'load_balance_hosts', 'max_client_connections', 'current_client_connections'],
  users: [
    ...['pool_size', 'reserve_pool_size', 'max_user_connections', 'current_connections'],
    ...['max_user_client_connections', 'current_client_connections'],
  ],
  stats: ['total', 'avg'].flatMap((prefix) => COUNTS.map((name) => `${prefix}_${name}`)),
  stats_totals: COUNTS,
  stats_averages: ['server_assignment_count', ...[...PARSES, 'client_login_count'].map((name) => `avg_${name}`)],
  totals: [],
  lists: [],
  config: [],
  mem: [],
  dns_hosts: [],
  dns_zones: [],
  version: [],
}

/** Columns that had another name in 1.18. */
const NEWER_NAMES: Readonly<Record<string, string>> = { reserve_pool_size: 'reserve_pool' }

/** Rows of SHOW CONFIG that differ, and why. */
const OTHER_SETTINGS: Readonly<Record<string, string>> = {
  client_tls_ciphers: 'has another default in later versions',
  listen_addr: 'has another default',
  server_check_query: 'has another default in later versions',
  server_tls_ciphers: 'has another default in later versions',
  server_tls_sslmode: 'has another default in later versions',
  tcp_defer_accept: 'has another default',
  unix_socket_mode: 'is written in octal, as in the file',
  verbose: 'has a default',
}

/** Columns whose values differ each time. */
const PASSING = ['port', 'local_port', 'connect_time', 'request_time', 'ptr', 'link', 'remote_pid']

type Shown = Readonly<Record<string, Reply[]>>

async function talkToConsole(pooler: Pooler) {
  const admin = await pooler.client('admin', 'pgbouncer')
  const show = async (topics: readonly string[]): Promise<Shown> => {
    const shown: Record<string, Reply[]> = {}
    for (const topic of topics) shown[topic] = await ask(admin, serialize.query(`show ${topic}`))
    return shown
  }
  const answersTo = async (client: RawClient, commands: readonly string[]) => {
    const answers = new Map<string, Reply[]>()
    for (const command of commands) answers.set(command, await ask(client, serialize.query(command)))
    return answers
  }
  const fresh = await show(Object.keys(NEWER_COLUMNS))
  const answers = await answersTo(admin, COMMANDS)
  await ask(admin, serialize.query('resume'))
  await ask(admin, serialize.query('reload'))
  const looked = await answersTo(await pooler.client('looker', 'pgbouncer'), LOOKS)
  const client = await pooler.client(user, 'app')
  await client.ask(serialize.query("select 'one'"))
  await client.ask(serialize.query('begin'), serialize.query("select 'two'"), serialize.query('commit'))
  const idle = await show(['pools', 'clients', 'servers', 'databases', 'stats_totals', 'lists'])
  await client.ask(serialize.query('begin'))
  const busy = await show(['pools', 'clients', 'servers', 'sockets', 'active_sockets'])
  return { welcome: await pooler.login({ user: 'admin', database: 'pgbouncer' }), fresh, answers, looked, idle, busy }
}

describe('the console, compared with PgBouncer’s:', async () => {
  const [theirs, ours] = await underBoth(FILES, talkToConsole)

  test('the login sends the same parameters', () => {
    const version = (line: string) => line.replace(/server_version=.*/, 'server_version')
    // Some drivers need this parameter.
    const told = ours.welcome.filter((line) => line !== 'ParameterStatus integer_datetimes=on')
    expect(told.map(version)).toEqual(theirs.welcome.map(version))
  })

  test.each(Object.entries(NEWER_COLUMNS))('SHOW %s has the columns', (topic, newer) => {
    const all = (shown: Shown) => columns(shown[topic] ?? [])
    const ourOwn = all(ours.fresh).map((column) => column.split(' ') as [string, string])
    const known = ourOwn.filter(([name]) => !newer.includes(name))
    expect(known.map(([name, type]) => `${NEWER_NAMES[name] ?? name} ${type}`)).toEqual(all(theirs.fresh))
    expect(ourOwn.map(([name]) => name)).toEqual(expect.arrayContaining([...newer]))
    expect(ours.fresh[topic]?.slice(-2).map(({ line }) => line)).toEqual(['CommandComplete SHOW', 'ReadyForQuery I'])
  })

  test('SHOW CONFIG has the settings in the same order, with the same values and defaults', () => {
    const wanted = table(theirs.fresh['config'] ?? [])
    const told = table(ours.fresh['config'] ?? []).filter(({ key }) => wanted.some((row) => row['key'] === key))
    expect(told.map(({ key }) => key)).toEqual(wanted.map(({ key }) => key))
    const others = told.filter((row, index) => JSON.stringify(row) !== JSON.stringify(wanted[index]))
    expect(others.map(({ key }) => key)).toEqual(Object.keys(OTHER_SETTINGS))
    for (const key of ['key', 'changeable'])
      expect(
        told.map((row) => row[key]),
        key,
      ).toEqual(wanted.map((row) => row[key]))
  })

  test.each([
    ['databases', []],
    ['users', []],
    ['dns_hosts', []],
    ['dns_zones', []],
  ] as const)('SHOW %s returns the same', (topic, passing) => expectSame(theirs.fresh, ours.fresh, topic, passing))

  test.each([...new Set(COMMANDS)])('%j', (command) => expectAnswer(command, theirs.answers, ours.answers))

  describe('for stats_users:', () => {
    test.each(LOOKS)('%j', (command) => expectAnswer(command, theirs.looked, ours.looked, {}))
  })

  test.each([
    ['pools', []],
    ['servers', PASSING],
    ['databases', []],
  ] as const)('SHOW %s returns the same between transactions', (topic, passing) =>
    expectSame(theirs.idle, ours.idle, topic, passing),
  )

  test.each([
    ['pools', []],
    ['servers', [...PASSING, 'wait', 'wait_us']],
  ] as const)('SHOW %s returns the same during a transaction', (topic, passing) =>
    expectSame(theirs.busy, ours.busy, topic, passing),
  )

  test('SHOW STATS_TOTALS counts the same transactions and bytes', () => {
    const [wanted, told] = [theirs, ours].map(({ idle }) =>
      table(idle['stats_totals'] ?? []).find((row) => row['database'] === 'app'),
    )
    for (const name of ['xact_count', 'bytes_received', 'bytes_sent']) expect(told?.[name], name).toBe(wanted?.[name])
  })

  test('SHOW LISTS returns the same counts', () => {
    // Rows about preallocated clients and servers, rows of later versions, and the pool that exists for a forced user.
    const others = ['pools', 'peers', 'peer_pools', 'free_clients', 'free_servers']
    const [wanted, told] = [theirs, ours].map(({ idle }) =>
      table(idle['lists'] ?? []).filter(({ list }) => !others.includes(list ?? '')),
    )
    expect(told).toEqual(wanted)
  })
})

function expectAnswer(
  command: string,
  theirs: ReadonlyMap<string, readonly Reply[]>,
  ours: ReadonlyMap<string, readonly Reply[]>,
  intended = INTENDED,
): void {
  const [wanted, told] = [theirs, ours].map((answers) => answers.get(command) ?? [])
  const differs = expect(told?.map(toldAlike))
  if (intended[command] === undefined) differs.toEqual(wanted?.map(toldAlike))
  else differs.not.toEqual(wanted?.map(toldAlike))
  for (const sqlstate of told?.flatMap(sqlstates) ?? []) expect(sqlstate).not.toMatch(/^XX/)
}

function sqlstates({ type, body }: Reply): string[] {
  return type === 'E' ? [errorFields(body)['C'] ?? ''] : []
}

/** Compares the rows and columns that PgBouncer has. In pgweir, pools with a forced user exist before any client connects. */
function expectSame(theirs: Shown, ours: Shown, topic: string, passing: readonly string[]): void {
  const [wanted, told] = [theirs, ours].map((shown) => table(shown[topic] ?? []))
  const names = Object.keys(wanted?.[0] ?? {}).filter((name) => !passing.includes(name))
  const newName = (name: string) => Object.entries(NEWER_NAMES).find(([, old]) => old === name)?.[0] ?? name
  const kept = (wanted ?? []).map((row) => names.map((name) => row[name]))
  const found = (told ?? []).filter((row) => topic !== 'pools' || row['database'] !== 'forced')
  expect(found.map((row) => names.map((name) => row[newName(name)]))).toEqual(kept)
}
