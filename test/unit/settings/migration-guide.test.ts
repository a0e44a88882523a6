/** The way back from pgweir names each setting that PgBouncer would not start with. */

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { SETTINGS } from '../../../src/settings/schema.ts'
import { PGBOUNCER_SETTINGS } from '../../cases/pgbouncer-defaults.ts'

test('what only pgweir knows is to be taken out', () => {
  const guide = readFileSync(new URL('../../../docs/migrating-from-pgbouncer.md', import.meta.url), 'utf8')
  const back = guide.slice(guide.indexOf('## Back again'))
  const ours = Object.keys(SETTINGS).filter((key) => !(key in PGBOUNCER_SETTINGS))
  expect(ours.length).toBeGreaterThan(10)
  for (const key of ours) expect(back, key).toContain(`\`${key}\``)
})
