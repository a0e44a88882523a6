import { expect, test } from 'vitest'
import { deallocatedName } from '../../../src/sql/deallocate.ts'

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
]

for (const [text, name] of CASES)
  test(`${JSON.stringify(text)} deallocates ${name ?? 'nothing that can be told'}`, () => {
    expect(deallocatedName(text)).toBe(name)
  })
