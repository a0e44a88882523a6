import { expect, test } from 'vitest'
import { createsTemporary } from '../../../src/sql/temporary.ts'

const CASES: Readonly<Record<string, boolean>> = {
  'create temp table t (id int)': true,
  'CREATE TEMPORARY TABLE IF NOT EXISTS t (id int) ON COMMIT DROP;': true,
  '  create\n local temp table t () ; ': true,
  'create global temporary table "T" (like other)': true,
  'create table t (id int)': false,
  'create table temp (id int)': false,
  'create unlogged table t (id int)': false,
  'create temp table t (id int); create table other (id int)': false,
  [`create temp table t (text text default ';')`]: false,
  'create temp view v as select 1': false,
  'create temp': false,
  cr: false,
  c: false,
  '': false,
}

for (const [text, isTemporary] of Object.entries(CASES))
  test(`${JSON.stringify(text)} ${isTemporary ? 'creates only a temporary table' : 'may do something else'}`, () => {
    const buffer = Buffer.from(`..${text}\0temp table t`)
    expect(createsTemporary(buffer, 2, 2 + text.length)).toBe(isTemporary)
  })
