import { describe, expect, test } from 'vitest'
import { changesBetween, databaseChange, describeChanges, withoutRestart } from '../../../src/settings/changes.ts'
import type { DATABASE_ROWS } from '../../../src/settings/databases.ts'
import { databaseFor, type Settings } from '../../../src/settings/load.ts'
import { References } from '../../../src/settings/references.ts'
import { withSetting } from '../../../src/settings/set.ts'
import { GOOD_INI, loadText, virtualFiles } from './virtual-files.ts'

const REFERENCES = new References({}, virtualFiles({ '/run/token': 'open sesame\n' }))

interface Lines {
  readonly databases?: readonly string[]
  readonly users?: readonly string[]
  readonly general?: readonly string[]
}

function settingsOf({ databases = ['app = host=a'], users = [], general = [] }: Lines): Settings {
  const { settings, told } = loadText(
    ['[databases]', ...databases, '[users]', ...users, '[pgbouncer]', 'auth_type = any', ...general].join('\n'),
  )
  expect(told).toEqual([])
  return settings
}

function setting(settings: Settings, key: string, text: string): Settings {
  const outcome = withSetting(settings, key, text, REFERENCES)
  if ('why' in outcome) throw new Error(outcome.why ?? 'at a restart')
  return outcome.settings
}

function told(before: Lines | Settings, after: Lines | Settings): string[] {
  const of = (side: Lines | Settings) => ('origins' in side ? side : settingsOf(side))
  return describeChanges(changesBetween(of(before), of(after))).map(
    ({ sentence, isWarning }) => `${isWarning ? 'warning: ' : ''}${sentence}`,
  )
}

describe('changes between settings', () => {
  test('are none if the settings are equal, in whatever order or unit they are written', () => {
    const general = ['default_pool_size = 20', 'admin_users = ada, bob', 'query_timeout = 5min']
    expect(told({ general: general.slice(1) }, { general: [...general].reverse() })).toEqual([])
    expect(told({ general: ['query_timeout = 5min'] }, { general: ['query_timeout = 300'] })).toEqual([])
  })

  test('name each general setting with its old and new value', () => {
    expect(
      told(
        { general: ['default_pool_size = 20', 'logfile = a.log', 'log_stats = 1'] },
        { general: ['default_pool_size = 10', 'query_timeout = 300ms', 'log_stats = 0', 'admin_users = ada, bob'] },
      ),
    ).toEqual([
      "admin_users: '' → ada, bob",
      'default_pool_size: 20 → 10',
      'query_timeout: 0 → 0.3',
      "logfile: a.log → ''",
      'log_stats: 1 → 0',
    ])
  })

  test('that need a restart are warned about, and the old value stays in force', () => {
    const before = settingsOf({ general: ['listen_port = 6432'] })
    const after = settingsOf({ general: ['listen_port = 7000', 'default_pool_size = 7'] })
    expect(told(before, after)).toEqual([
      'default_pool_size: 20 → 7',
      'warning: listen_port: 6432 → 7000 takes effect only at a restart',
    ])
    const next = withoutRestart(before, after)
    expect(next.general).toMatchObject({ listen_port: 6432, default_pool_size: 7 })
    expect(next.origins.listen_port).toEqual(before.origins.listen_port)
    // The warning is repeated at each reload until the restart.
    expect(told(next, after)).toEqual(['warning: listen_port: 6432 → 7000 takes effect only at a restart'])
  })

  test('to settings without effect are not announced as needing a restart', () => {
    const after = loadText(`${GOOD_INI}pkt_buf = 8192\nsbuf_loopcnt = 1\n`)
    expect(after.told).toEqual([
      expect.stringContaining('pkt_buf has no effect'),
      expect.stringContaining('sbuf_loopcnt has no effect'),
    ])
    expect(told(loadText(GOOD_INI).settings, after.settings)).toEqual([])
  })

  test('show that a value SET on the console returns to the value in the file', () => {
    const file = settingsOf({ general: ['default_pool_size = 20'] })
    const now = setting(setting(file, 'default_pool_size', '5'), 'query_timeout', '1min')
    expect(told(file, now)).toEqual(['default_pool_size: 20 → 5', 'query_timeout: 0 → 60'])
    expect(told(now, file)).toEqual([
      'default_pool_size: 5 → 20 (it was SET on the console)',
      'query_timeout: 60 → 0 (it was SET on the console)',
    ])
    expect(told(now, setting(now, 'default_pool_size', '6'))).toEqual(['default_pool_size: 5 → 6'])
  })

  test('name databases and users that were added, removed or changed', () => {
    expect(
      told(
        { databases: ['app = host=a', 'old = host=a'], users: ['ada = pool_size=3', 'bob = pool_size=1'] },
        { databases: ['app = host=a pool_size=5', 'new = host=a', '* = host=b'], users: ['ada = pool_mode=session'] },
      ),
    ).toEqual([
      'database "app": pool_size: not set → 5',
      'database "old" is removed: its clients are dropped',
      'database "new" is added',
      'database "*" is added',
      'user "ada": pool_mode: not set → session',
      'user "ada": pool_size: 3 → not set',
      'user "bob" is removed',
    ])
  })

  test('never show a secret', () => {
    const lines = told(
      { databases: ['app = host=a user=u password=hunter2'] },
      { databases: [`app = host=a user=u password=hunter3 connect_query='set x.key = 7'`] },
    )
    expect(lines).toEqual([
      'database "app": password: changed',
      'database "app": connect_query: changed',
      'database "app": its servers are closed as they come free',
    ])
  })
})

describe('a changed database', () => {
  const VALUES: Record<keyof typeof DATABASE_ROWS, string> = {
    host: 'b',
    port: '6000',
    load_balance_hosts: 'disable',
    dbname: 'other',
    user: 'u',
    password: 'p',
    pool_mode: 'session',
    pool_size: '5',
    min_pool_size: '5',
    reserve_pool_size: '5',
    max_db_connections: '5',
    max_db_client_connections: '5',
    server_lifetime: '5',
    query_wait_timeout: '5',
    auto_prepare: '1',
    sslmode: 'require',
    sslnegotiation: 'direct',
    auth_user: 'u',
    auth_query: 'select',
    auth_dbname: 'other',
    connect_query: 'select',
    client_encoding: 'latin1',
    datestyle: 'iso',
    timezone: 'utc',
    application_name: 'x',
  }

  test('gets new servers only if they would be connected or set up differently', () => {
    const [before] = [settingsOf({}).databases.get('app')]
    if (!before) throw new Error('no database')
    const renewing = Object.entries(VALUES).filter(([key, value]) => {
      const { databases } = loadText(`[databases]\napp = host=a ${key}=${value}\n[pgbouncer]\n`).settings
      const after = databases.get('app')
      const change = after && databaseChange(before, after)
      expect(change?.keys.map((each) => each.key)).toEqual([key])
      return change?.renewsServers
    })
    expect(renewing.map(([key]) => key)).toEqual([
      ...['host', 'port', 'load_balance_hosts', 'dbname', 'user', 'sslmode', 'sslnegotiation'],
      ...['auth_query', 'auth_dbname', 'connect_query'],
      ...['client_encoding', 'datestyle', 'timezone', 'application_name'],
    ])
  })

  test('counts as unchanged if its own line replaces the entry * with the same values', () => {
    const before = databaseFor(settingsOf({ databases: ['* = host=a'] }), 'app')
    const after = databaseFor(settingsOf({ databases: ['app = host=a', '* = host=b'] }), 'app')
    expect(before && after && databaseChange(before, after)).toBe(null)
  })
})

describe('SET', () => {
  const settings = settingsOf({ general: ['default_pool_size = 20'] })
  const why = (key: string, text: string) => {
    const outcome = withSetting(settings, key, text, REFERENCES)
    return 'why' in outcome ? outcome.why : 'it is set'
  }

  test('changes one value and records that the console did it', () => {
    const next = setting(settings, 'default_pool_size', '5')
    expect(next.general.default_pool_size).toBe(5)
    expect(next.origins.default_pool_size).toEqual({ from: 'console', file: null, line: null })
    expect(settings.general.default_pool_size).toBe(20)
  })

  test('reports a wrong name or value with the same message as for the file', () => {
    expect(why('default_pool_size', 'many')).toBe('default_pool_size cannot be "many": it must be a whole number')
    expect(why('default_pol_size', '5')).toBe(
      'there is no setting "default_pol_size"; did you mean "default_pool_size"?',
    )
  })

  test('reads a secret from a file, as in the configuration file', () => {
    expect(setting(settings, 'http_token', 'file:/run/token').general.http_token).toBe('open sesame')
    expect(why('http_token', 'file:/run/none')).toBe(
      'http_token cannot be read from "/run/none": there is no such file',
    )
    expect(setting(settings, 'server_reset_query', 'file:/run/token').general.server_reset_query).toBe(
      'file:/run/token',
    )
  })

  test('distinguishes settings that need a restart from bad values', () => {
    expect(why('listen_port', '7000')).toBe(null)
    expect(why('listen_port', 'x')).toContain('listen_port cannot be "x"')
  })
})
