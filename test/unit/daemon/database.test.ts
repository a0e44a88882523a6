import { expect, test } from 'vitest'
import { Database } from '../../../src/daemon/database.ts'
import { loadText } from '../settings/virtual-files.ts'

const NOW_MS = 1_000
const TIMEOUT_MS = 60_000

function createDatabase(): Database {
  const settings = loadText('[databases]\n* = host=db\n').settings.fallback
  if (settings === null) throw new Error('there is no entry *')
  return new Database('app', { settings, isEstablished: false, fingerprint: '', turn: 0, nowMs: NOW_MS })
}

test('a database that no server has ever logged in to can be forgotten at once', () => {
  const database = createDatabase()
  expect(database.isForgettable(TIMEOUT_MS, NOW_MS)).toBe(true)
  database.poolGone(false, NOW_MS)
  expect([database.isForgettable(TIMEOUT_MS, NOW_MS), database.isForgettable(0, NOW_MS)]).toEqual([true, true])
})

test('a database that has worked is kept until its last pool has been unused for autodb_idle_timeout; with 0, forever', () => {
  const database = createDatabase()
  database.poolGone(true, 2_000)
  database.poolGone(false, 5_000)
  database.poolGone(true, 3_000)
  expect(database.isForgettable(TIMEOUT_MS, 5_000 + TIMEOUT_MS - 1)).toBe(false)
  expect(database.isForgettable(TIMEOUT_MS, 5_000 + TIMEOUT_MS)).toBe(true)
  expect(database.isForgettable(0, 5_000 + TIMEOUT_MS)).toBe(false)
})

test('a pool that was not used since before the database was created does not make it older', () => {
  const database = createDatabase()
  database.poolGone(true, 0)
  expect(database.isForgettable(TIMEOUT_MS, NOW_MS + TIMEOUT_MS - 1)).toBe(false)
})

test('a paused or disabled database is never forgotten: the next client must not find it open', () => {
  const paused = createDatabase()
  paused.isPaused = true
  const disabled = createDatabase()
  disabled.isDisabled = true
  expect([paused, disabled].map((database) => database.isForgettable(TIMEOUT_MS, NOW_MS))).toEqual([false, false])
})
