import { describe, expect, test } from 'vitest'
import { changesSince, guardedOf, mannerKey, type SavedRun, withRun } from '../../../bench/guard.ts'
import { changeTable } from '../../../bench/report.ts'
import type { Runs } from '../../../bench/scenario.ts'

const NOTHING = { instructions: null, cpuToPgbouncer: null, cpuToPostgres: null }

function savedRun(scenarios: SavedRun['scenarios'], pgbouncer: string | null = '1.18.0'): SavedRun {
  const versions = { node: 'v20.20.2', postgres: '18.4', pgbouncer }
  return { savedAt: '2026-11-26T10:00:00.000Z', commit: 'abc1234', versions, scenarios }
}

test('what is guarded is the median over the rounds, beside PgBouncer in the same round', () => {
  const runs: Runs = new Map([
    [
      'pgweir',
      [
        { cpuUs: 20, cpuToPostgres: 0.5 },
        { cpuUs: 44, cpuToPostgres: 0.512345 },
        { cpuUs: 26, cpuToPostgres: 0.7 },
      ],
    ],
    ['pgbouncer', [{ cpuUs: 10 }, { cpuUs: 20 }, { cpuUs: 10 }]],
  ])
  expect(guardedOf(runs)).toEqual({ instructions: null, cpuToPgbouncer: 2.2, cpuToPostgres: 0.5123 })
})

describe('beside the committed figures', () => {
  const saved = savedRun({ simple: { instructions: null, cpuToPgbouncer: 2, cpuToPostgres: 0.5 } })
  const now = (cpuToPgbouncer: number) => ({ simple: { ...NOTHING, cpuToPgbouncer, cpuToPostgres: 0.5 } })

  test.each([
    [2.3, 'slower'],
    [2.1, 'as before'],
    [1.9, 'as before'],
    [1.7, 'faster'],
  ])('a change from 2 to %d with a tolerance of a tenth is told as %s', (value, verdict) => {
    const changes = changesSince(saved, now(value), '1.18.0', 0.1)
    expect(changes).toMatchObject([{ scenario: 'simple', measure: 'cpuToPgbouncer', before: 2, now: value, verdict }])
  })

  test('instructions count most, where both have them', () => {
    const before = savedRun({ simple: { instructions: 100, cpuToPgbouncer: 2, cpuToPostgres: 1 } })
    const after = { simple: { instructions: 101, cpuToPgbouncer: 3, cpuToPostgres: 2 } }
    expect(changesSince(before, after, '1.18.0', 0.1)).toMatchObject([
      { measure: 'instructions', verdict: 'as before' },
    ])
  })

  test.each([null, '1.25.2'])('PostgreSQL is the measure where PgBouncer is not the same one: %s', (pgbouncer) => {
    const changes = changesSince(saved, now(9), pgbouncer, 0.1)
    expect(changes).toMatchObject([{ measure: 'cpuToPostgres', growth: 0, verdict: 'as before' }])
  })

  test('nothing is said of a scenario that only one side knows', () => {
    expect(changesSince(saved, { extended: { ...NOTHING, cpuToPgbouncer: 2 } }, '1.18.0', 0.1)).toEqual([])
  })

  test('what became slower stands out', () => {
    const table = changeTable(changesSince(saved, now(2.5), '1.18.0', 0.1))
    expect(table.split('\n')[1]).toBe("simple: CPU in times of PgBouncer's          2  2.5  +25.0 %  SLOWER")
  })
})

test('figures are kept for each way to run pgweir', () => {
  const manner = { transport: 'node', workers: 1 } as const
  expect(mannerKey(20, manner)).toBe('Node 20, node transport, one worker')
  expect(mannerKey(24, { transport: 'epoll', workers: 2 })).toBe('Node 24, epoll transport, 2 workers')
})

test('a run of one scenario keeps the figures of the others', () => {
  const first = savedRun({ simple: NOTHING, extended: NOTHING })
  const second = savedRun({ simple: { ...NOTHING, cpuToPostgres: 1 } })
  const figures = withRun({ here: first, there: first }, 'here', second)
  expect(figures['there']).toBe(first)
  expect(figures['here']?.scenarios).toEqual({ simple: { ...NOTHING, cpuToPostgres: 1 }, extended: NOTHING })
})
