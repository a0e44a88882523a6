/** The migration guide matches the tables: the differences, and the settings with which PgBouncer would not start. */

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { differencesSection } from '../../../src/settings/differences.ts'
import { SETTINGS } from '../../../src/settings/schema.ts'
import { PGBOUNCER_SETTINGS } from '../../cases/pgbouncer-defaults.ts'

const PATH = '../../../docs/migrating-from-pgbouncer.md'
const guide = readFileSync(new URL(PATH, import.meta.url), 'utf8')

test('the guide lists each difference (npx vitest run test/unit/settings/migration-guide.test.ts -u writes it)', async () => {
  const [before, after] = guide.split(/(?<=<!-- tables -->\n)[\s\S]*(?=<!-- end of tables -->)/)
  await expect(`${before}\n${differencesSection()}\n\n${after}`).toMatchFileSnapshot(PATH)
})

test('the way back lists every setting that only pgweir knows', () => {
  const back = guide.slice(guide.indexOf('## Going back'))
  const ours = Object.keys(SETTINGS).filter((key) => !(key in PGBOUNCER_SETTINGS))
  expect(ours.length).toBeGreaterThan(10)
  for (const key of ours) expect(back, key).toContain(`\`${key}\``)
})
