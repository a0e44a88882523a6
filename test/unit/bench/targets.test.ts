import { expect, test } from 'vitest'
import { hasPreparedStatements, iniText } from '../../../bench/targets.ts'
import { loadText } from '../settings/virtual-files.ts'

const OPTIONS = {
  login: 'scram',
  port: 6432,
  authFile: '/tmp/users.txt',
  knowsStatements: true,
  server: { host: '127.0.0.1', port: 5432, database: 'bench' },
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

test('an old PgBouncer gets no setting that it does not know', () => {
  expect(iniText({ ...OPTIONS, knowsStatements: false })).not.toContain('prepared')
})

test.each([
  ['1.18.0', false],
  ['1.21.0', true],
  ['1.25.2', true],
  ['2.0', true],
])('PgBouncer %s follows named statements: %s', (version, expected) => {
  expect(hasPreparedStatements(version)).toBe(expected)
})
