import { expect, test } from 'vitest'
import { readWishes } from '../../../src/client/startup-parameters.ts'
import { Tracked } from '../../../src/server/profile.ts'

const TRACKED = new Tracked(['IntervalStyle'])

function wishes(parameters: Record<string, string>, ignored: string[] = [], minorVersion = 0) {
  const packet = { kind: 'startup' as const, minorVersion, parameters: new Map(Object.entries(parameters)) }
  return readWishes(packet, new Set(ignored), TRACKED)
}

test('the database defaults to the user’s name', () => {
  expect(wishes({ user: 'ada' })).toMatchObject({ user: 'ada', database: 'ada' })
  expect(wishes({ user: 'ada', database: 'app' })).toMatchObject({ database: 'app' })
})

test('parameters other than user, database and replication are settings', () => {
  const { settings } = wishes({ user: 'ada', TimeZone: 'UTC', statement_timeout: '5s', replication: 'false' })
  expect([...settings]).toEqual([
    ['timezone', 'UTC'],
    ['statement_timeout', '5s'],
  ])
})

test('options are settings too, and a startup parameter overrides the same setting in options', () => {
  const { settings } = wishes({ user: 'ada', options: '-c work_mem=1MB --search-path=a,b', work_mem: '2MB' })
  expect(Object.fromEntries(settings)).toEqual({ work_mem: '2MB', search_path: 'a,b' })
})

test('a setting named in ignore_startup_parameters is dropped, whether it is a parameter or part of options', () => {
  const given = { user: 'ada', extra_float_digits: '2', options: '-c extra_float_digits=3 -c work_mem=1MB' }
  expect([...wishes(given, ['extra_float_digits']).settings.keys()]).toEqual(['work_mem'])
})

test('with options ignored, tracked settings in them are kept and everything else is dropped, even what cannot be parsed', () => {
  expect([...wishes({ user: 'ada', options: '-c TimeZone=UTC -c work_mem=1MB' }, ['options']).settings.keys()]).toEqual(
    ['timezone'],
  )
  expect(wishes({ user: 'ada', options: '-B 5' }, ['options']).settings.size).toBe(0)
})

test('unknown protocol parameters are reported by name', () => {
  expect(wishes({ user: 'ada', '_pq_.compression': 'on' }).unknownProtocolParameters).toEqual(['_pq_.compression'])
})

for (const [what, parameters, kind] of [
  ['no user', { database: 'app' }, 'startup-without-user'],
  ['an unknown replication value', { user: 'ada', replication: 'perhaps' }, 'bad-replication'],
  ['options that are not settings', { user: 'ada', options: '-B 5' }, 'unsupported-options'],
] as const)
  test(`${what} is refused`, () => {
    expect(() => wishes(parameters)).toThrow(expect.objectContaining({ kind }))
  })
