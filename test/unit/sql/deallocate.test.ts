import { expect, test } from 'vitest'
import { deallocatedName, deallocatesAll } from '../../../src/sql/deallocate.ts'

const CASES: [text: string, name: string | null][] = [
  ['deallocate s1', 's1'],
  ['DEALLOCATE PREPARE S1;', 's1'],
  ['  Deallocate\n"_pg3_0" ; ', '_pg3_0'],
  ['deallocate "with ""quotes"""', 'with "quotes"'],
  ['deallocate all', null],
  ['deallocate prepare all', null],
  ['deallocate "all"', 'all'],
  ['deallocate s1; select 1', null],
  ['deallocate', null],
  ['declare s1 cursor for select 1', null],
  ['deallocate s1 s2', null],
  ['deallocate"s1"', 's1'],
  ['deallocates1', null],
  ['-- a comment\nDEALLOCATE /* of */ PREPARE -- this\n s1 /* here */; -- now', 's1'],
  ["/*traceparent='00'*/deallocate/**/s1/**/", 's1'],
  ['deallocate /* a /* nested */ one */ s1', null],
  ['deallocate /* a */ s1 */ s2', null],
  ['deallocate prepare', 'prepare'],
]

const ALL: Readonly<Record<string, boolean>> = {
  'deallocate all': true,
  'DEALLOCATE PREPARE ALL;': true,
  ' \n\tdiscard\n all; select 1': true,
  'deallocate all; select 1': true,
  'discard plans': false,
  'discard allocations': false,
  'deallocate s1': false,
  'deallocate "all"': false,
  'delete from all': false,
  'distinct all': false,
  d: false,
  '': false,
  '   ': false,
}

for (const [text, isAll] of Object.entries(ALL))
  test(`${JSON.stringify(text)} drops ${isAll ? 'all statements' : 'one statement at most'}`, () => {
    const buffer = Buffer.from(`....${text}\0 all`)
    expect(deallocatesAll(buffer, 4, 4 + text.length)).toBe(isAll)
  })

for (const [text, name] of CASES)
  test(`${JSON.stringify(text)} deallocates ${name ?? 'no name that can be determined'}`, () => {
    expect(deallocatedName(text)).toBe(name)
  })
