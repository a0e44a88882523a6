import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { normalizedQuery, traceparentOf } from '../../../src/sql/normalized.ts'

const PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

const GRAPHEME = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 })

describe('a normalized query', () => {
  test.each([
    ['select  *\n\tfrom t', 'select * from t'],
    ["select 'it''s', 12, 1.5e-3, .5, 0xFF, true", 'select ?, ?, ?, ?, ?, true'],
    ['select id1, t2.c3 from "Table 4" where x$1 = $1', 'select id1, t2.c3 from "Table 4" where x$1 = $1'],
    ["select E'a\\'b', e'\\\\', U&'d\\0061t', x'1F', N'n'", 'select ?, ?, ?, ?, ?'],
    ['select $$it is$$ || $tag$a $$ b$tag$ || $1', 'select ? || ? || $1'],
    ['select 1 -- secret 42\n+ 2', 'select ? + ?'],
    ["select /* secret 'x' /* nested */ still */ 1", 'select ?'],
    ['select a from t where b in (1, 2,\n3)', 'select a from t where b in (?, …)'],
    ["insert into t values (1, 'x'), (2, 'y'), (3, 'z')", 'insert into t values (?, …), …'],
    ['select f(1), a(b)', 'select f(?), a(b)'],
    ['select a-1, a - -1', 'select a-?, a - -?'],
    ["select größe from straße where name = 'Zoë'", 'select größe from straße where name = ?'],
    // Cut off within a value or comment.
    ["select 'secr", 'select ?'],
    ["select E'secr\\", 'select ?'],
    ['select $q$secr', 'select ?'],
    ['select /* secr', 'select'],
    ['', ''],
  ])('of %s', (query, expected) => {
    expect(normalizedQuery(query)).toBe(expected)
  })

  test.each([
    // standard_conforming_strings may be off.
    ["select 'it\\'s', 'secret'", 'select ? …'],
    ["select 'it\\'', 'secret' from t", 'select ? …'],
    ["select 'it\\''s', 'secret' from t", 'select ? …'],
    ["select '\\'secret'", 'select ? …'],
    ["select N'\\\\\\'secret'", 'select ? …'],
    // The second byte of a character in SJIS.
    ["select E'\ufffd\\', 'secret' from t", 'select ? …'],
    ["select '\ufffd\\', 'secret' from t", 'select ? …'],
    // Here everything is certain.
    ["select 'a\\b\\\\', 'secret' from t", 'select ?, ? from t'],
    ["select E'it\\'s', 'secret' from t", 'select ?, ? from t'],
  ])('of %s ends where values can no longer be told apart from other text', (query, expected) => {
    expect(normalizedQuery(query)).toBe(expected)
  })

  test('contains nothing of a value, whatever the value is', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.oneof(fc.constantFrom("'", '\\'), GRAPHEME) }), (value) => {
        const quoted = `'${value.replaceAll("'", "''")}'`
        const comment = value.replaceAll(/[*/]/g, '')
        const query = `select ${quoted}, $x$${value.replaceAll('$', '')}$x$ /* ${comment} */ from t`
        // The end of a string is uncertain where a quote follows an odd number of backslashes.
        expect(normalizedQuery(query)).toBe(/(?<!\\)(?:\\\\)*\\'/.test(quoted) ? 'select ? …' : 'select ?, ? from t')
      }),
    )
  })

  test('takes time that grows linearly with the text', () => {
    const long = `select ${'(1, '.repeat(20_000)}`
    expect(normalizedQuery(long).length).toBeGreaterThan(0)
    expect(normalizedQuery("'".repeat(50_001))).toBe('?')
    expect(normalizedQuery('$'.repeat(50_000)).length).toBeGreaterThan(0)
  })
})

describe('a traceparent', () => {
  test.each([
    [`select 1 /*action='a%20b',traceparent='${PARENT}',x='y'*/`, PARENT],
    ["select 1 /*traceparent='00-short'*/", null],
    ['select 1', null],
  ])('in %s', (query, expected) => {
    expect(traceparentOf(query)).toBe(expected)
  })
})
