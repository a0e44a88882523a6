/** The migration guide says what the tables say: what is different, and which settings PgBouncer would not start with. */

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { differencesSection } from '../../../src/settings/differences.ts'
import { SETTINGS } from '../../../src/settings/schema.ts'
import { PGBOUNCER_SETTINGS } from '../../cases/pgbouncer-defaults.ts'

const PATH = '../../../docs/migrating-from-pgbouncer.md'
const guide = readFileSync(new URL(PATH, import.meta.url), 'utf8')

test('it tells each difference (npx vitest run test/unit/settings/migration-guide.test.ts -u writes it)', async () => {
  const [before, after] = guide.split(/(?<=<!-- tables -->\n)[\s\S]*(?=<!-- end of tables -->)/)
  await expect(`${before}\n${differencesSection()}\n\n${after}`).toMatchFileSnapshot(PATH)
})

test('what only pgweir knows is to be taken out on the way back', () => {
  const back = guide.slice(guide.indexOf('## Back again'))
  const ours = Object.keys(SETTINGS).filter((key) => !(key in PGBOUNCER_SETTINGS))
  expect(ours.length).toBeGreaterThan(10)
  for (const key of ours) expect(back, key).toContain(`\`${key}\``)
})
