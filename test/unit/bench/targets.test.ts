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

test('pgweir takes the file that PgBouncer gets, without a complaint', () => {
  const { settings, told } = loadText(iniText(OPTIONS))
  expect(told).toEqual([])
  expect(settings.general).toMatchObject({
    auth_type: 'scram-sha-256',
    default_pool_size: 20,
    pool_mode: 'transaction',
  })
})

test('what only one of them is told comes on top', () => {
  const text = iniText({ ...OPTIONS, settings: { max_prepared_statements: '7' } })
  expect(loadText(text).settings.general.max_prepared_statements).toBe(7)
})

test.each([
  ['1.18.0', false],
  ['1.21.0', true],
  ['1.25.2', true],
  ['2.0', true],
])('PgBouncer %s follows named statements: %s', (version, expected) => {
  expect(hasPreparedStatements(version)).toBe(expected)
})
