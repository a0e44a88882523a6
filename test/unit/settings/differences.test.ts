import { expect, test } from 'vitest'
import { describeConfig } from '../../../src/settings/describe.ts'
import { DIFFERENT_DEFAULTS, differencesOf } from '../../../src/settings/differences.ts'
import { SETTING_ROWS } from '../../../src/settings/schema.ts'
import { PGBOUNCER_SETTINGS } from '../../cases/pgbouncer-defaults.ts'
import { loadText } from './virtual-files.ts'

test('pgweir has every setting of PgBouncer', () => {
  const missing = Object.keys(PGBOUNCER_SETTINGS).filter((key) => !SETTING_ROWS.has(key))
  expect(missing).toEqual([])
})

test('pgweir check tells of each default that PgBouncer has otherwise', () => {
  const shown = new Map(describeConfig(loadText('').settings).map((row) => [row.key, row.default]))
  const different = Object.entries(PGBOUNCER_SETTINGS).filter(([key, [value]]) => shown.get(key) !== value)
  expect(different.map(([key]) => key)).toEqual(['listen_addr', 'pool_idle_timeout', 'tcp_defer_accept'])
  expect(DIFFERENT_DEFAULTS).toEqual(expect.arrayContaining(different.map(([key]) => key)))
})

test('what PgBouncer can change while it runs can be changed in pgweir, and nothing else of it', () => {
  const other = Object.entries(PGBOUNCER_SETTINGS).filter(([key, [, access]]) => {
    return SETTING_ROWS.get(key)?.access !== (access === 'R' ? 'reload' : 'restart')
  })
  expect(other.map(([key]) => key)).toEqual([])
})

test('that answers of auth_query are remembered is told wherever users are looked up, by the entry * too', () => {
  const isTold = (database: string) =>
    differencesOf(loadText(`[databases]\n${database}\n[pgbouncer]\n`).settings).some((sentence) =>
      sentence.includes('auth_query_lifetime'),
    )
  expect(isTold('app = host=a')).toBe(false)
  expect(isTold('app = host=a auth_user=asker')).toBe(true)
  expect(isTold('* = host=a auth_user=asker')).toBe(true)
})
