import { expect, test } from 'vitest'
import { PoolWelcome } from '../../../src/pool/pool-welcome.ts'
import { Welcome } from '../../../src/pool/welcome.ts'

const NAMES = ['client_encoding', 'TimeZone', 'search_path']
const OLD = new Map([
  ['client_encoding', 'UTF8'],
  ['TimeZone', 'Europe/Vienna'],
  ['server_version', '15.1'],
])
const NEW = new Map([...OLD, ['TimeZone', 'UTC'] as const])

test('before the first login no parameters are known', () => {
  const welcome = new PoolWelcome(new Welcome(), null, NAMES)
  expect([welcome.values, welcome.profile(true), welcome.profile(false)]).toEqual([null, null, null])
})

test('a client that asks for no settings gets those that servers report, in the order of the tracked names', () => {
  const shared = new Welcome()
  const welcome = new PoolWelcome(shared, null, NAMES)
  shared.learned(OLD)
  expect([welcome.values, welcome.profile(true)?.values]).toEqual([OLD, ['UTF8', 'Europe/Vienna', null]])
})

test('parameters reported by servers with other startup settings are used for clients only until a server with the current ones is available', () => {
  const welcome = new PoolWelcome(new Welcome(), OLD, NAMES)
  expect(welcome.values).toBe(OLD)
  expect([welcome.profile(true), welcome.profile(false)?.values[1]]).toEqual([null, 'Europe/Vienna'])
})

test('each report of a server with the current startup settings replaces the one before', () => {
  const shared = new Welcome()
  const welcome = new PoolWelcome(shared, OLD, NAMES)
  const before = welcome.profile(false)
  shared.learned(NEW)
  expect([before?.values[1], welcome.profile(false)?.values[1]]).toEqual(['Europe/Vienna', 'UTC'])
  shared.learnedElsewhere(OLD)
  expect([welcome.values, welcome.profile(true)]).toEqual([OLD, before])
})
