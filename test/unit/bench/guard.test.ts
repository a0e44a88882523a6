import { describe, expect, test } from 'vitest'
import { changesSince, changeToBaseline, guardedOf, mannerKey, type SavedRun, withRun } from '../../../bench/guard.ts'
import { changeTable } from '../../../bench/report.ts'
import type { Runs } from '../../../bench/scenario.ts'

const NOTHING = { instructions: null, cpuToPostgres: null }

function savedRun(scenarios: SavedRun['scenarios']): SavedRun {
  const versions = { node: 'v20.20.2', postgres: '18.4', pgbouncer: null }
  return { savedAt: '2026-11-26T10:00:00.000Z', commit: 'abc1234', versions, scenarios }
}

test('the guarded figure is the median of the rounds', () => {
  const rounds = [0.5, 0.512345, 0.7].map((cpuToPostgres) => ({ cpuToPostgres }))
  expect(guardedOf(new Map([['pgweir', rounds]]))).toEqual({ instructions: null, cpuToPostgres: 0.5123 })
})

describe('compared with the saved figures', () => {
  const saved = savedRun({ simple: { instructions: null, cpuToPostgres: 0.2 } })
  const now = (cpuToPostgres: number) => ({ simple: { ...NOTHING, cpuToPostgres } })

  test.each([
    [0.23, 'slower'],
    [0.21, 'as before'],
    [0.19, 'as before'],
    [0.17, 'faster'],
  ])('a change from 0.2 to %d with a tolerance of 10 % counts as %s', (value, verdict) => {
    const changes = changesSince(saved, now(value), 0.1)
    expect(changes).toMatchObject([{ scenario: 'simple', measure: 'cpuToPostgres', before: 0.2, now: value, verdict }])
  })

  test('instructions take precedence if both sides have them', () => {
    const before = savedRun({ simple: { instructions: 100, cpuToPostgres: 1 } })
    expect(changesSince(before, { simple: { instructions: 101, cpuToPostgres: 2 } }, 0.1)).toMatchObject([
      { measure: 'instructions', verdict: 'as before' },
    ])
    expect(changesSince(before, { simple: { instructions: null, cpuToPostgres: 2 } }, 0.1)).toMatchObject([
      { measure: 'cpuToPostgres', verdict: 'slower' },
    ])
  })

  test('a scenario that only one side has is left out', () => {
    expect(changesSince(saved, { extended: { ...NOTHING, cpuToPostgres: 2 } }, 0.1)).toEqual([])
  })

  test('a slower scenario stands out in the table', () => {
    const table = changeTable(changesSince(saved, now(0.25), 0.1))
    expect(table.split('\n')[1]).toBe("simple: CPU in times of PostgreSQL's     0.2  0.25  +25.0 %  SLOWER")
  })
})

describe('compared with another build', () => {
  const runs: Runs = new Map([
    ['baseline', [{ cpuToPostgres: 0.2 }, { cpuToPostgres: 0.4 }, { cpuToPostgres: 0.2 }]],
    ['pgweir', [{ cpuToPostgres: 0.3 }, { cpuToPostgres: 0.48 }, { cpuToPostgres: 0.2 }]],
  ])

  test('the rounds are compared one by one', () => {
    const change = changeToBaseline('simple', runs, 0.1)
    expect(change).toMatchObject({ scenario: 'simple', before: 0.2, verdict: 'slower' })
    expect(change?.growth).toBeCloseTo(0.2)
  })

  test('there is no result without the other build', () => {
    expect(changeToBaseline('simple', new Map([['pgweir', [{ cpuToPostgres: 0.3 }]]]), 0.1)).toBeNull()
  })
})

test('figures are saved per Node version, transport and number of workers', () => {
  const manner = { transport: 'node', workers: 1, usesIoUring: true } as const
  expect(mannerKey(20, manner)).toBe('Node 20, node transport, one worker')
  const other = { transport: 'epoll', workers: 2 } as const
  expect(mannerKey(24, { ...other, usesIoUring: true })).toBe('Node 24, epoll transport, 2 workers')
  expect(mannerKey(24, { ...other, usesIoUring: false })).toBe('Node 24, epoll transport without io_uring, 2 workers')
})

test('a run of one scenario keeps the saved figures of the others', () => {
  const first = savedRun({ simple: NOTHING, extended: NOTHING })
  const second = savedRun({ simple: { ...NOTHING, cpuToPostgres: 1 } })
  const figures = withRun({ here: first, there: first }, 'here', second)
  expect(figures['there']).toBe(first)
  expect(figures['here']?.scenarios).toEqual({ simple: { ...NOTHING, cpuToPostgres: 1 }, extended: NOTHING })
})
