import { expect, test } from 'vitest'
import { changesBetween, changesToSql, Profile, Tracked } from '../../../src/server/profile.ts'
import { understand } from '../../../src/wire/reported-text.ts'

const TRACKED = new Tracked(['IntervalStyle', 'default_transaction_isolation'])

function profile(values: Record<string, string>, extras: Record<string, string> = {}): Profile {
  return Profile.of(
    TRACKED.names.map((name) => values[name] ?? null),
    new Map(Object.entries(extras)),
  )
}

const PLAIN = profile({ TimeZone: 'UTC', DateStyle: 'ISO, MDY' })

test('equal profiles are the same object, so that they can be compared by identity', () => {
  expect(profile({ TimeZone: 'UTC', DateStyle: 'ISO, MDY' })).toBe(PLAIN)
  expect(profile({}, { b: '2', a: '1' })).toBe(profile({}, { a: '1', b: '2' }))
  expect(PLAIN.withValue(TRACKED.place('timezone'), 'UTC')).toBe(PLAIN)
})

test('a setting is found in any letter case, and listed once', () => {
  expect(TRACKED.place('TIMEZONE')).toBe(TRACKED.names.indexOf('TimeZone'))
  expect(TRACKED.place('work_mem')).toBe(-1)
  expect(new Set(TRACKED.names).size).toBe(TRACKED.names.length)
})

test('only settings that differ are changed', () => {
  expect(changesBetween(TRACKED, PLAIN, PLAIN, false)).toEqual([])
  expect(changesBetween(TRACKED, PLAIN, profile({ TimeZone: 'Europe/Rome', DateStyle: 'ISO, MDY' }), false)).toEqual([
    { name: 'TimeZone', value: 'Europe/Rome' },
  ])
})

test('the previous client’s settings are reset first, and role is set last', () => {
  const before = profile({}, { statement_timeout: '1s' })
  const after = profile({}, { role: 'ada', work_mem: '4MB' })
  expect(changesBetween(TRACKED, before, after, false)).toEqual([
    { name: 'statement_timeout', value: null },
    { name: 'work_mem', value: '4MB' },
    { name: 'role', value: 'ada' },
  ])
})

test('settings that may have changed unnoticed are set again', () => {
  const same = profile({}, { work_mem: '4MB' })
  expect(changesBetween(TRACKED, same, same, true)).toEqual([{ name: 'work_mem', value: '4MB' }])
})

test('values are quoted so that they mean the same with and without standard_conforming_strings', () => {
  expect(changesToSql([{ name: 'application_name', value: "it's" }])).toBe(
    "select pg_catalog.set_config('application_name', 'it''s', false)",
  )
  expect(changesToSql([{ name: 'a', value: "\\'; drop" }])).toBe(
    "select pg_catalog.set_config('a', E'\\\\''; drop', false)",
  )
  expect(changesToSql([{ name: 'a', value: null }])).toBe("select pg_catalog.set_config('a', null, false)")
})

test('a different search_path, TimeZone or role can change what a statement means; application_name and timeouts cannot', () => {
  const plain = PLAIN.meaning(TRACKED)
  const others = [profile({ search_path: 'sales' }), profile({ TimeZone: 'Asia/Tokyo' }), profile({}, { role: 'ada' })]
  expect(new Set([plain, ...others.map((other) => other.meaning(TRACKED))]).size).toBe(4)
  expect(PLAIN.withValue(TRACKED.place('application_name'), 'app').meaning(TRACKED)).toBe(plain)
  expect(PLAIN.withExtras(new Map([['statement_timeout', '5s']])).meaning(TRACKED)).toBe(plain)
})

test('a DateStyle with one part takes the other from the default, not from the previous client', () => {
  expect(changesToSql([{ name: 'DateStyle', value: 'ISO' }])).toBe(
    "select pg_catalog.set_config('DateStyle', null, false); select pg_catalog.set_config('DateStyle', 'ISO', false)",
  )
})

test('non-ASCII letters are sent so that no client_encoding can garble them', () => {
  expect(changesToSql([{ name: 'search_path', value: 'sch\u00e9ma' }])).toBe(
    "select pg_catalog.set_config('search_path', pg_catalog.convert_from(pg_catalog.decode('736368c3a96d61', 'hex'), 'UTF8'), false)",
  )
})

test('a value in an encoding that pgweir does not decode is sent back in that encoding', () => {
  expect(changesToSql([{ name: 'search_path', value: understand('\0\0sch\xa4', 'LATIN9') }])).toBe(
    "select pg_catalog.set_config('search_path', pg_catalog.convert_from(pg_catalog.decode('736368a4', 'hex'), 'LATIN9'), false)",
  )
})
