import { expect, test } from 'vitest'
import { encryptionSettings } from '../../../bench/encryption.ts'
import { hasPreparedStatements, iniText } from '../../../bench/targets.ts'
import { loadText } from '../settings/virtual-files.ts'

const OPTIONS = {
  login: 'scram',
  port: 6432,
  authFile: '/tmp/users.txt',
  settings: encryptionSettings('none', { key: '', certificate: '' }),
  server: {
    host: '127.0.0.1',
    port: 5432,
    database: 'bench',
    accounts: {
      trust: { user: 'bench_trust', password: '', secret: '' },
      scram: { user: 'bench_scram', password: 'secret', secret: 'SCRAM-SHA-256$…' },
    },
  },
} as const

test('pgweir accepts the configuration file for PgBouncer without a warning', () => {
  const { settings, told } = loadText(iniText(OPTIONS))
  expect(told).toEqual([])
  expect(settings.general).toMatchObject({
    auth_type: 'scram-sha-256',
    default_pool_size: 20,
    pool_mode: 'transaction',
  })
})

test('settings of one target are added', () => {
  const text = iniText({ ...OPTIONS, settings: { max_prepared_statements: '7' } })
  expect(loadText(text).settings.general.max_prepared_statements).toBe(7)
})

test.each([
  ['1.18.0', false],
  ['1.21.0', true],
  ['1.25.2', true],
  ['2.0', true],
])('PgBouncer %s supports prepared statements: %s', (version, expected) => {
  expect(hasPreparedStatements(version)).toBe(expected)
})
