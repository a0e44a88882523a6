import { expect, test } from 'vitest'
import { changesSchema, dropsStatements, isRareTag } from '../../../src/client/tags.ts'

const COMMON = [
  'SELECT 1',
  'INSERT 0 1',
  'UPDATE 3',
  'DELETE 2',
  'BEGIN',
  'COMMIT',
  'COPY 5',
  'FETCH 1',
  'MOVE 1',
  'SAVEPOINT',
  'LOCK TABLE',
  'NOTIFY',
]
const RARE = [
  'CREATE TABLE',
  'ALTER TABLE',
  'DROP INDEX',
  'IMPORT FOREIGN SCHEMA',
  'DO',
  'SET',
  'RESET',
  'DISCARD ALL',
  'DEALLOCATE',
]

for (const tag of COMMON)
  test(`${tag} is a common tag`, () => {
    expect(isRareTag(Buffer.from(`${tag}\0`), 0)).toBe(false)
  })

for (const tag of [...RARE, 'DEALLOCATE ALL', 'ROLLBACK', 'LISTEN'])
  test(`${tag} is a rare tag that is examined`, () => {
    expect(isRareTag(Buffer.from(`${tag}\0`), 0)).toBe(true)
  })

test('tags of CREATE, ALTER, DROP and DO change the schema; those of settings do not', () => {
  expect(RARE.filter(changesSchema)).toEqual([
    'CREATE TABLE',
    'ALTER TABLE',
    'DROP INDEX',
    'IMPORT FOREIGN SCHEMA',
    'DO',
  ])
})

test('only ALL drops the statements of a session', () => {
  expect(['DISCARD ALL', 'DEALLOCATE ALL', 'DEALLOCATE', 'DISCARD PLANS'].filter(dropsStatements)).toEqual([
    'DISCARD ALL',
    'DEALLOCATE ALL',
  ])
})
