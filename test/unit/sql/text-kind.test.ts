import { describe, expect, test } from 'vitest'
import {
  beginsLikeChange,
  mayMakeTable,
  onlyBegins,
  settingKind,
  type TextKind,
  textKind,
} from '../../../src/sql/text-kind.ts'

function kindOf(text: string, hasStandardStrings = false): TextKind {
  // As in a message: with bytes before it, and a zero byte and more bytes after it.
  const buffer = Buffer.from(`into ${text}\0 into 'now'`)
  return textKind(buffer, 5, 5 + Buffer.byteLength(text), hasStandardStrings)
}

describe('a text is planned if it reads or changes rows:', () => {
  test.each([
    'select 1',
    'SELECT 1',
    'SeLeCt\n1',
    '  \t\n select 1',
    '-- a comment\nselect 1',
    '/* a /* nested */ one */ select 1',
    '/* first */ -- second\n /**/ ((select 1) union (select 2))',
    'insert into t values ($1)',
    'insert /* now */ into t values ($1)',
    'update t set a = $1',
    'delete from t',
    'merge into t using s on true when matched then delete',
    'values (1)',
    'table t',
    'with a as (select 1) insert into t select * from a',
    'select 1 from "into"',
    "select 'into'",
    "select E'it''s \" into'",
    'select $$ into $$, $tag$ into $x$ $tag$',
    'select 1 -- into\n',
    'select 1 /* into */',
    'select 1 - 2 / 3',
    'select into_it, a.nowhere, now() from t',
    "select 'know', 'nowhere'",
    'select $1::date, $2',
    'select "now", "set_configs" from t',
    'select x$into$, 1e5, 0xff from t',
    "select 'a\\b', 'c\\\\', 'it''s', ''",
  ])('%s', (text) => expect(kindOf(text)).toBe('planned'))
})

describe('a text is fleeting if it has a constant that Postgres may read as the current time:', () => {
  test.each([
    "select * from t where day = 'today'",
    "select date 'Yesterday'",
    "select ' now '::timestamptz",
    "select 'tomorrow 10:00'::timestamp",
    "select 'today+1'",
    "insert into t values ('now')",
    "select N'now'",
    "select E'now'",
    "select E'\\x6eow'::timestamp",
    "select U&'\\006eow'::timestamp",
    "select U&'!006eow'::timestamp uescape '!'",
    "select 'to'\n'day'::date",
    "select 'to' -- a comment\n 'day'::date",
    "select E'to'\n'day'::date",
    'select $$now$$::timestamp, 1',
    'select $a$now$a$::timestamp',
    "select 'it''s now'",
    "select 'not_today'",
  ])('%s', (text) => expect(kindOf(text)).toBe('fleeting'))
})

describe('a text is creates if it creates a table:', () => {
  test.each([
    'create table t (a int)',
    'create temp view v as select 1',
    'create temp table t (a int); create table u ()',
    'select * into t from s',
    'select * INTO temp t from s',
    "select 'into' into t",
    'with a as (select 1) select * into t from a',
    'select 1 /* insert */ into t',
    'select "insert" into t',
    "select 'now' into t",
    'select max(merge) into t from s',
    'select "a".insert, 1 into t from s',
  ])('%s', (text) => expect(kindOf(text)).toBe('creates'))
})

test.each(['create temp table t (a int)', ' CREATE TEMPORARY TABLE t AS SELECT 1;'])(
  '%s creates something that only its own session sees',
  (text) => expect(kindOf(text)).toBe('creates-temporary'),
)

test.each(['begin', 'BEGIN ISOLATION LEVEL SERIALIZABLE', 'start transaction', ' begin;', 'savepoint a', 'release a'])(
  '%s is of the kind begin',
  (text) => expect(kindOf(text)).toBe('begin'),
)

describe('a text is sets if it may change unreported settings that affect the meaning of other texts:', () => {
  test.each([
    'set array_nulls = off',
    'SET LOCAL transform_null_equals TO on',
    "set session lc_monetary = 'C'",
    'set xml option document',
    'set xmloption to content',
    "set timezone_abbreviations = 'Australia'",
    'reset all',
    'do $$ begin set array_nulls = off; end $$',
    "select set_config('array_nulls', $1, true)",
    `select "set_config"('Lc_Monetary', $1, true)`,
    'set search_path = a, b; set array_nulls = off',
  ])('%s', (text) => expect(kindOf(text)).toBe('sets'))

  test.each([
    'set search_path = a',
    'SET LOCAL Search_Path TO a',
    "set schema 'a'",
    "set local schema 'a'",
    'reset search_path',
    "select set_config('search_path', $1, true), set_config('role', $2, true)",
  ])('%s is sets-path', (text) => expect(kindOf(text)).toBe('sets-path'))

  test('a change of search_path is also found after other commands, and in parts of a text', () => {
    const text = Buffer.from("begin; set local search_path = a; set statement_timeout = '1s'")
    expect(settingKind(text, 0, text.length)).toBe('sets-path')
    expect(settingKind(text, 0, 20)).toBe('other')
    expect(settingKind(text, 34, text.length)).toBe('other')
  })
})

test.each([
  ['SET a = 1', true],
  [' /* of a tenant */ set a = 1', true],
  ['reset a', true],
  ['begin; set a = 1', true],
  ['START TRANSACTION', true],
  ['Create table a as select 1', true],
  ['commit', false],
  ["select set_config('a', $1, true)", true],
  ["SELECT\n  pg_catalog.set_config('a', $1, true)", true],
  ['select 1', false],
  ['select set_configs, pg_catalog', false],
  ['select', false],
  ['savepoint a', false],
  ['update a set b = 1', false],
  ['', false],
])('%j begins like a text that changes more than rows: %s', (text, isSo) => {
  expect(beginsLikeChange(Buffer.from(`${text}\0`), 0, text.length)).toBe(isSo)
})

test.each([
  ['select 1 into t', true],
  [' -- of a report\n SELECT 1 INTO TEMP t', true],
  ['with a as (select 1) select * into t from a', true],
  ['select intonation', false],
  ['insert into t values (1)', false],
  ['', false],
])('%j may create a table: %s', (text, isSo) => {
  expect(mayMakeTable(Buffer.from(`${text}\0 into`), 0, text.length)).toBe(isSo)
})

describe('a text is other if it is none of these:', () => {
  test.each([
    '',
    ' ',
    ';',
    '; select 1',
    '-- select 1',
    '/* select 1',
    'commit',
    'rollback to savepoint a',
    'set statement_timeout = 1',
    'set local role a',
    'set schemas.x = 1',
    'reset role',
    'show all',
    'explain select 1',
    'call p()',
    'execute s1',
    'discard all',
    'selects 1',
    'select1',
    '"select" 1',
    "select set_config('TimeZone', $1, true)",
    "select pg_catalog.SET_CONFIG ('TimeZone', $1, true)",
    `select "set_config"('TimeZone', $1, true)`,
  ])('%s', (text) => expect(kindOf(text)).toBe('other'))
})

describe('a text is doubtful if the end of a string is uncertain:', () => {
  test.each(["select 'a\\'', 'now'::timestamp", "select 'a\\'''", "select N'\\\\\\'', 'now'"])(
    '%s, because standard_conforming_strings may be off',
    (text) => expect(kindOf(text)).toBe('doubtful'),
  )

  test.each([
    ["select a like $1 escape '\\'", 'planned'],
    ["select 'a\\', 'now'::timestamp", 'fleeting'],
    ["select 'a\\', set_config('array_nulls', $1, true)", 'sets'],
  ])('%s, but not if standard_conforming_strings is known to be on', (text, kind) => {
    expect(kindOf(text)).toBe('doubtful')
    expect(kindOf(text, true)).toBe(kind)
  })

  test('after a character whose second byte is a backslash', () => {
    const text = Buffer.from("select E'\x95\\' into t, 'b'", 'latin1')
    expect(textKind(text, 0, text.length)).toBe('doubtful')
  })
})

test.each([
  "select 'now",
  "select E'a\\",
  'select "a',
  'select $a$ now',
  'select /* a',
  'select $',
  'select E',
  'select U&',
])('%s is read to its end although it is not terminated', (text) =>
  expect(['planned', 'fleeting']).toContain(kindOf(text)),
)

describe('a simple query that only begins a transaction or manages a savepoint:', () => {
  test.each([
    ['begin', true],
    ['BEGIN;', true],
    ['begin transaction isolation level repeatable read, read only ;\n', true],
    ['Start\tTransaction', true],
    ['savepoint a', true],
    ['RELEASE SAVEPOINT "a b"', true],
    ['begin; set timezone to utc', false],
    ['begin -- and more\n; select 1', false],
    [`savepoint ${'a'.repeat(200)}`, false],
    ['start', false],
    ['beginning', false],
    ['select 1', false],
    ['set a = 1', false],
    ['rollback to a', false],
    ['', false],
  ])('%j: %s', (text, expected) => {
    const buffer = Buffer.from(`begin ${text}\0; begin`)
    expect(onlyBegins(buffer, 6, 7 + Buffer.byteLength(text))).toBe(expected)
  })
})
