import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parseHba } from '../../../src/auth/hba.ts'
import { describeConfig } from '../../../src/settings/describe.ts'
import { DIFFERENCES, type Difference, differencesSection, notesOf } from '../../../src/settings/differences.ts'
import { loadSettings } from '../../../src/settings/load.ts'
import { SETTING_ROWS } from '../../../src/settings/schema.ts'
import { PGBOUNCER_KEYS, PGBOUNCER_SETTINGS } from '../../cases/pgbouncer-defaults.ts'
import { loadText, virtualFiles } from './virtual-files.ts'

test('pgweir has every setting of PgBouncer', () => {
  const missing = Object.keys(PGBOUNCER_SETTINGS).filter((key) => !SETTING_ROWS.has(key))
  expect(missing).toEqual([])
})

test.each([
  ['databases', 'app = host=10.0.0.5'],
  ['users', 'ada ='],
  ['peers', '1 = host=10.0.0.6'],
] as const)('pgweir knows every key of PgBouncer in [%s]', (section, line) => {
  for (const key of PGBOUNCER_KEYS[section]) {
    const { told } = loadText(`[databases]\nother = host=10.0.0.5\n[${section}]\n${line} ${key}=\n`)
    expect(told.join('\n'), key).not.toContain('there is no key')
  }
  expect(loadText(`[${section}]\n${line} nonsense=1\n`).told.join('\n')).toContain('there is no key "nonsense"')
})

test('pgweir check mentions each default that differs from PgBouncer’s', () => {
  const shown = new Map(describeConfig(loadText('').settings).map((row) => [row.key, row.default]))
  const different = Object.entries(PGBOUNCER_SETTINGS).filter(([key, [value]]) => shown.get(key) !== value)
  expect(different.map(([key]) => key)).toEqual(['listen_addr', 'pool_idle_timeout', 'tcp_defer_accept'])
  const told = notesFor({}).join('\n')
  for (const [key] of different) expect(told).toContain(key)
})

test('exactly the PgBouncer settings that a reload changes in PgBouncer can be changed by a reload in pgweir', () => {
  const other = Object.entries(PGBOUNCER_SETTINGS).filter(([key, [, access]]) => {
    return SETTING_ROWS.get(key)?.access !== (access === 'R' ? 'reload' : 'restart')
  })
  expect(other.map(([key]) => key)).toEqual([])
})

/** For each row that depends on the files: files that it concerns, with the line that the note names, and files that it does not concern. */
const CASES: Readonly<Record<string, { readonly told: readonly Case[]; readonly untold: readonly Case[] }>> = {
  'an unknown or duplicate prepared statement': {
    told: [
      { general: 'pool_mode = transaction', line: 6 },
      { general: 'pool_mode = statement', line: 6 },
      { entry: 'pool_mode=transaction', line: 2 },
      { users: 'ada = pool_mode=statement', line: 4 },
    ],
    untold: [{}, { entry: 'pool_mode=session' }, { general: 'pool_mode = transaction\nmax_prepared_statements = 0' }],
  },
  "a prepared statement with a constant such as `'today'`": {
    told: [{ general: 'pool_mode = transaction', line: 6 }],
    untold: [{}],
  },
  'a prepared statement with a constant whose meaning depends on a setting, such as a time without a zone': {
    told: [{ general: 'pool_mode = transaction', line: 6 }],
    untold: [{}],
  },
  'a prepared statement after DDL': { told: [{ general: 'pool_mode = transaction', line: 6 }], untold: [{}] },
  'a query that takes longer than `query_timeout`': {
    told: [
      { general: 'query_timeout = 5', line: 6 },
      { users: 'ada = query_timeout=5', line: 4 },
    ],
    untold: [{ general: 'query_timeout = 0' }],
  },
  'settings that a client sends at login': {
    told: [{ general: 'ignore_startup_parameters = geqo', line: 6 }],
    untold: [{}],
  },
  '`auth_type = any` and a database without `user`': {
    told: [{ general: 'auth_type = any', line: 2 }],
    untold: [{}, { general: 'auth_type = any', entry: 'user=app' }],
  },
  'repeated failed logins from one address': {
    told: [{ general: 'auth_type = md5', line: null }],
    untold: [{ general: 'auth_type = trust' }, { general: 'auth_type = md5\nauth_failure_delay = 0' }],
  },
  'a changed `auth_file`': {
    told: [{ general: 'auth_file = /etc/users', line: 6 }],
    untold: [{}, { general: 'auth_file =' }],
  },
  '`auth_query`': {
    told: [
      { general: 'auth_user = asker', line: null },
      { entry: 'auth_user=asker', line: null },
      { databases: '* = host=10.0.0.5 auth_user=asker', line: null },
    ],
    untold: [{}, { general: 'auth_user = asker\nauth_query_lifetime = 5' }],
  },
  'an HBA line with a host name, `samehost`, `samenet`, a role (`+name`) or the method `pam`': {
    told: [
      { hba: 'host all all db.example.com trust', line: 'hba.conf:1' },
      { hba: '\nhost all all samehost trust', line: 'hba.conf:2' },
      { hba: 'host all all samenet trust', line: 'hba.conf:1' },
      { hba: 'host all +staff all trust', line: 'hba.conf:1' },
      { hba: 'host all all all pam', line: 'hba.conf:1' },
    ],
    untold: [
      { hba: 'host all all 10.0.0.0/8 trust\nhost all all 10.0.0.0 255.0.0.0 trust\nhost all all all trust' },
      { hba: 'local all "+staff" trust' },
      { hba: 'host all all ::1/128 trust' },
    ],
  },
  'a name in an HBA line that begins with a slash, or is `samerole` or `samegroup`': {
    told: [
      { hba: 'local /^app all trust', line: 'hba.conf:1' },
      { hba: 'local all /^app trust', line: 'hba.conf:1' },
      { hba: 'local all "/^app" trust', line: 'hba.conf:1' },
      { hba: 'local samerole all trust', line: 'hba.conf:1' },
    ],
    untold: [{ hba: 'local "samerole" all trust' }],
  },
  'access to the console through the unix socket without a password, and the method `peer`, if koffi cannot be loaded':
    {
      told: [{ general: 'unix_socket_dir = /run', knowsOwners: false, line: 6 }],
      untold: [{ general: 'unix_socket_dir = /run' }, { general: 'unix_socket_dir =', knowsOwners: false }],
    },
  'cancel requests to servers with TLS': {
    told: [{ general: 'server_tls_sslmode = require', line: 6 }],
    untold: [{ general: 'server_tls_sslmode = disable' }],
  },
  "the server's host name (SNI)": { told: [{ general: 'server_tls_sslmode = require', line: 6 }], untold: [{}] },
  'SCRAM bound to the TLS connection (SCRAM-SHA-256-PLUS)': {
    told: [
      { general: 'server_tls_sslmode = require', line: 6 },
      { general: 'client_tls_sslmode = allow', line: 6 },
    ],
    untold: [{ general: 'client_tls_sslmode = disable' }],
  },
  'many TLS handshakes at the same time': { told: [{ general: 'client_tls_sslmode = allow', line: 6 }], untold: [{}] },
  "a server's host name": {
    told: [
      { databases: 'far = host=db.example.com', line: 3 },
      { databases: '* = host=10.0.0.5,db', line: 3 },
    ],
    untold: [{ databases: 'near = host=/run\nfar = host=::1\nhere = host=@name\nthere =' }],
  },
  'one of several hosts that does not answer': {
    told: [{ databases: 'far = host=10.0.0.5,10.0.0.6', line: 3 }],
    untold: [{}],
  },
  'limits on servers': {
    told: [
      { general: 'max_db_connections = 5', line: 6 },
      { general: 'max_user_connections = 5', line: 6 },
      { entry: 'max_db_connections=5', line: 2 },
      { users: 'ada = max_user_connections=5', line: 4 },
    ],
    untold: [{ general: 'max_db_connections = 0' }],
  },
  'pools that nobody uses': { told: [{ line: null }], untold: [{ general: 'pool_idle_timeout = 0' }] },
  [`\`\${NAME}\` in a value, \`file:PATH\` as a password`]: {
    told: [
      { general: `admin_users = \${ADMIN}`, line: 6 },
      { general: `admin_users = $\${ADMIN}`, line: 6 },
      { entry: 'user=app password=file:/run/secret', line: 2 },
      { entry: `user=\${ADMIN}`, line: 2 },
    ],
    untold: [{ entry: 'dbname=file:/run/secret' }],
  },
  'times with a fraction in a line of `[users]`, such as `query_timeout=1.5`': {
    told: [{ users: 'ada = query_timeout=1.5', line: 4 }],
    untold: [{ users: 'ada = query_timeout=2' }],
  },
  '`listen_addr`, if not set': {
    told: [{ line: null }],
    untold: [{ general: 'listen_addr =' }, { general: 'listen_addr = *' }],
  },
  '`tcp_defer_accept`, if not set': { told: [{ line: null }], untold: [{ general: 'tcp_defer_accept = 1' }] },
  '`tcp_defer_accept`, `tcp_keepcnt`, `tcp_keepintvl`, `tcp_user_timeout` and `tcp_socket_buffer` on the transport `node`':
    {
      told: [{ general: 'tcp_user_timeout = 5', hasEpoll: false, line: 6 }],
      untold: [{ general: 'tcp_user_timeout = 5' }, { general: 'tcp_user_timeout = 0', hasEpoll: false }],
    },
  '`user`': { told: [{ general: 'user = nobody', line: 6 }], untold: [{}] },
  'many similar warnings or errors in the log': {
    told: [{ line: null }],
    untold: [{ general: 'log_rate_limit = 0' }],
  },
}

interface Case {
  readonly general?: string
  /** Added to the one line of [databases]. */
  readonly entry?: string
  readonly databases?: string
  readonly users?: string
  readonly hba?: string
  readonly hasEpoll?: boolean
  readonly knowsOwners?: boolean
  /** The line that the note names; null for the file as a whole. */
  readonly line?: number | string | null
}

const HBA_SOURCES = { ownNetworks: () => [], resolve: () => ({ value: '' }), readFile: () => '' }

function notesFor({ general = '', entry = '', databases = '', users = '', hba = '', ...here }: Case): string[] {
  const lines = [
    ...['[databases]', `app = host=10.0.0.5 ${entry}`, databases || '[users]', users || '; none', '[pgbouncer]'],
    general,
  ]
  const texts = { 'pgweir.ini': lines.join('\n'), '/run/secret': 'hunter2' }
  const options = { iniFile: 'pgweir.ini', files: virtualFiles(texts), env: { ADMIN: 'hunter2' } }
  const { settings, written, problems } = loadSettings(options)
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([])
  const { rules, problems: inRules } = parseHba(hba, 'hba.conf', HBA_SOURCES)
  expect(inRules).toEqual([])
  const withFile = { ...settings, general: { ...settings.general, auth_hba_file: 'hba.conf' } }
  return notesOf({ settings: withFile, written, rules, hasEpoll: true, knowsOwners: true, ...here })
}

const ROWS: readonly Difference[] = Object.values(DIFFERENCES).flat()

test('each difference that depends on the files has a case here', () => {
  const named = ROWS.filter(({ concerns }) => concerns !== undefined).map(({ what }) => what)
  expect(Object.keys(CASES)).toEqual(named)
  expect(new Set(ROWS.map(({ what }) => what)).size).toBe(ROWS.length)
})

describe.each(Object.entries(CASES))('%s', (what, { told, untold }) => {
  const isAbout = (note: string) => note.includes(`: note: ${what.replaceAll('`', '')} | PgBouncer: `)

  test.each(told as readonly Case[])('is noted for %j', ({ line, ...given }: Case) => {
    const notes = notesFor(given).filter(isAbout)
    const place = line === null ? 'pgweir.ini' : typeof line === 'string' ? line : `pgweir.ini:${line}`
    expect(notes).toEqual([expect.stringMatching(`^${place}: note: .* \\(#[a-z-]+\\)$`)])
    expect(notes.join()).not.toContain('hunter2')
  })

  test.each(untold as readonly Case[])('is not noted for %j', (given: Case) => {
    expect(notesFor(given).filter(isAbout)).toEqual([])
  })
})

test('each heading of the guide that the tables name exists', () => {
  const headings = differencesSection()
    .match(/^### .*$/gm)
    ?.map((line) => line.slice(4))
  expect(headings).toEqual(Object.keys(DIFFERENCES))
  const guide = readFileSync(new URL('../../../docs/migrating-from-pgbouncer.md', import.meta.url), 'utf8')
  for (const heading of ['## In five steps', '## What is different']) expect(guide).toContain(`\n${heading}\n`)
})
