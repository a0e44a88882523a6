import { expect, test } from 'vitest'
import { Counters, Durations } from '../../../src/pool/counters.ts'
import { ErrorCounts } from '../../../src/pool/error-counts.ts'
import { Tallies, TallyNames, tallyOf } from '../../../src/pool/tallies.ts'

function counting(database: string, user: string, queries: number) {
  const counters = new Counters()
  counters.queries = queries
  const durations = new Durations()
  for (let count = 0; count < queries; count++) durations.query.note(1)
  const errors = new ErrorCounts()
  errors.note('postgresql', '22012')
  return { database, user, counters, durations, errors }
}

function brief(tallies: ReturnType<Tallies['with']>): string[] {
  return tallies.map(({ database, user, totals, durations }) => {
    const timed = durations.query.counts.reduce((sum, count) => sum + count, 0)
    return `${database}/${user} ${totals.queries} ${timed}`
  })
}

test('the counts of a removed pool stay, and later counts of the same database and user are added to them', () => {
  const tallies = new Tallies(new TallyNames(10))
  tallies.ended(counting('a', 'u', 3))
  expect(brief(tallies.with([tallyOf(counting('a', 'u', 2)), tallyOf(counting('b', 'u', 1))]))).toEqual([
    'a/u 5 5',
    'b/u 1 1',
  ])
  expect(brief(tallies.with([]))).toEqual(['a/u 3 3'])
})

test('only the first pairs of database and user are counted by name, for good; all others are counted as other/other', () => {
  const tallies = new Tallies(new TallyNames(2))
  const all = ['a', 'b', 'c', 'd'].map((database, index) => counting(database, 'u', index + 1))
  expect(brief(tallies.with(all.map(tallyOf)))).toEqual(['a/u 1 1', 'b/u 2 2', 'other/other 7 7'])
  const [first, , third] = all
  if (first) tallies.ended(first)
  if (third) tallies.ended(third)
  expect(brief(tallies.with([tallyOf(counting('d', 'u', 4))]))).toEqual(['a/u 1 1', 'other/other 7 7'])
})

test('summing does not change the parts and returns plain data', () => {
  const parts = [1, 2, 3].map((queries) => tallyOf(counting('a', 'u', queries)))
  const before = structuredClone(parts)
  const tallies = new Tallies(new TallyNames(10))
  const [sum] = tallies.with(parts)
  expect(tallies.with(parts)).toEqual([sum])
  expect(parts).toEqual(before)
  expect(sum?.errors).toEqual({ 'postgresql 22012': 3 })
  expect(JSON.parse(JSON.stringify(sum))).toEqual(sum)
})
