/** Each setting has a test that shows its effect: test/cases/settings.ts names the test, which must exist and be about the setting. */

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { DATABASE_ROWS } from '../src/settings/databases.ts'
import { PEER_ROWS } from '../src/settings/peers.ts'
import { SETTING_KEYS } from '../src/settings/schema.ts'
import { USER_ROWS } from '../src/settings/users.ts'
import { DATABASES, GENERAL, PEERS, USERS } from './cases/settings.ts'
import { TestFile } from './support/test-file.ts'

const SECTIONS = {
  pgbouncer: { keys: SETTING_KEYS, shown: GENERAL },
  databases: { keys: Object.keys(DATABASE_ROWS), shown: DATABASES },
  users: { keys: Object.keys(USER_ROWS), shown: USERS },
  peers: { keys: Object.keys(PEER_ROWS), shown: PEERS },
} as const

const files = new Map<string, TestFile>()

function read(file: string): TestFile {
  const path = join(import.meta.dirname, file)
  expect(existsSync(path), `${file} exists`).toBe(true)
  const known = files.get(file) ?? new TestFile(readFileSync(path, 'utf8'))
  files.set(file, known)
  return known
}

describe.each(Object.entries(SECTIONS))('section [%s]', (_section, { keys, shown }) => {
  test('exactly the settings of the section have tests', () => {
    expect(Object.keys(shown).toSorted(), 'test/cases/settings.ts').toEqual([...keys].toSorted())
  })

  test.each(Object.entries(shown))('the test for %s exists and is about it', (key, [file, title]) => {
    const testFile = read(file)
    const named = testFile.tests.find((each) => each.title === title)
    if (named === undefined) throw new Error(`${file} has no test '${title}'`)
    expect(testFile.isAbout(key, named), `${file}: '${title}' mentions ${key}`).toBe(true)
  })
})

test('a test is about the settings that it, or the code that it uses, mentions', () => {
  const file = new TestFile(`
    const LIMITED = { settings: { query_timeout: 5 } }
    const both = () => start(LIMITED)
    describe('what', () => {
      test('one', () => start(LIMITED))
      test('two', () => both())
      for (const mode of MODES) test(\`\${mode} is three\`, () => start({ pool_mode: mode }))
      test.each([['log_stats']])('%s is four', (key) => start(key))
    })
  `)
  expect(file.tests.map(({ title }) => title)).toEqual(['one', 'two', `\${mode} is three`, '%s is four'])
  const about = (word: string) => file.tests.map((each) => file.isAbout(word, each))
  expect(about('query_timeout')).toEqual([true, true, false, false])
  expect(about('pool_mode')).toEqual([false, false, true, false])
  expect(about('log_stats')).toEqual([false, false, false, true])
})
