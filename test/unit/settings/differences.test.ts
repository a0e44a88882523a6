import { expect, test } from 'vitest'
import { DIFFERENT_DEFAULTS } from '../../../src/settings/differences.ts'
import { SETTING_ROWS } from '../../../src/settings/schema.ts'
import { PGBOUNCER_DEFAULTS } from '../../cases/pgbouncer-defaults.ts'

/** `secure` has a longer name here. */
const SAME: Readonly<Record<string, string>> = { 'tlsv1.2,tlsv1.3': 'secure' }

test('pgweir has every setting of PgBouncer', () => {
  const missing = Object.keys(PGBOUNCER_DEFAULTS).filter((key) => !SETTING_ROWS.has(key))
  expect(missing).toEqual([])
})

test('pgweir check tells of each default that PgBouncer has otherwise', () => {
  const different = Object.entries(PGBOUNCER_DEFAULTS).filter(([key, value]) => {
    const row = SETTING_ROWS.get(key)
    const printed = row === undefined ? '' : row.type.print(row.default)
    return (SAME[printed] ?? printed) !== (value ?? '')
  })
  expect(different.map(([key]) => key)).toEqual(['listen_addr', 'pool_idle_timeout', 'tcp_defer_accept'])
  expect(DIFFERENT_DEFAULTS).toEqual(expect.arrayContaining(different.map(([key]) => key)))
})
