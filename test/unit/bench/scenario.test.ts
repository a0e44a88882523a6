import { describe, expect, test } from 'vitest'
import { formatTable, outcomeLine, scenarioTable } from '../../../bench/report.ts'
import { type Figures, medianOf, outcomes, type Runs, runScenario, type Scenario } from '../../../bench/scenario.ts'
import { chooseScenarios } from '../../../bench/scenarios.ts'
import type { Target, TargetName } from '../../../bench/targets.ts'

const SURROUNDINGS = {
  effort: { isQuick: false, repeats: 2, seconds: 1 },
  directory: '/nowhere',
  pgbouncerVersion: null,
}

const TO_PGBOUNCER = { target: 'pgbouncer', by: 'ratio' } as const

function scenarioOf(parts: Partial<Scenario>): Scenario {
  return {
    name: 'one',
    about: '',
    needsPgbench: false,
    login: 'trust',
    targets: ['pgweir', 'pgbouncer'],
    startsFresh: false,
    columns: [],
    goals: [],
    notes: () => [],
    repeats: ({ repeats }) => repeats,
    warmUp: async () => {},
    measure: async () => ({}),
    ...parts,
  }
}

function runsOf(figures: Partial<Record<TargetName, Figures[]>>): Runs {
  return new Map(Object.entries(figures) as [TargetName, Figures[]][])
}

/** Writes down what is done with the targets, in order. */
async function diaryOf(parts: Partial<Scenario>): Promise<string[]> {
  const diary: string[] = []
  const scenario = scenarioOf({
    warmUp: async ({ name }) => {
      diary.push(`warm up ${name}`)
    },
    measure: async ({ name }) => {
      diary.push(`measure ${name}`)
      return {}
    },
    ...parts,
  })
  const start = async (name: TargetName): Promise<Target> => {
    diary.push(`start ${name}`)
    const place = { host: '', port: 0, user: '', password: '', database: '' }
    return { name, place, pid: null, stop: async () => void diary.push(`stop ${name}`) }
  }
  await runScenario(scenario, scenario.targets, start, SURROUNDINGS, () => {})
  return diary
}

describe('the runs of a scenario', () => {
  test('take turns, and each process is started once', async () => {
    expect(await diaryOf({})).toEqual([
      'start pgweir',
      'warm up pgweir',
      'measure pgweir',
      'start pgbouncer',
      'warm up pgbouncer',
      'measure pgbouncer',
      'measure pgweir',
      'measure pgbouncer',
      'stop pgweir',
      'stop pgbouncer',
    ])
  })

  test('have a process each where memory is asked for', async () => {
    expect(await diaryOf({ startsFresh: true, targets: ['pgweir'] })).toEqual([
      'start pgweir',
      'warm up pgweir',
      'measure pgweir',
      'stop pgweir',
      'start pgweir',
      'warm up pgweir',
      'measure pgweir',
      'stop pgweir',
    ])
  })

  test('leave nothing running when one fails', async () => {
    const diary: string[] = []
    const scenario = scenarioOf({
      measure: async () => {
        throw new Error('no such table')
      },
    })
    const place = { host: '', port: 0, user: '', password: '', database: '' }
    const start = async (name: TargetName): Promise<Target> => ({
      name,
      place,
      pid: null,
      stop: async () => void diary.push(`stop ${name}`),
    })
    await expect(runScenario(scenario, ['pgweir'], start, SURROUNDINGS, () => {})).rejects.toThrow('no such table')
    expect(diary).toEqual(['stop pgweir'])
  })
})

describe('a measure', () => {
  const runs = runsOf({
    pgweir: [{ cpuUs: 30 }, { cpuUs: 80 }, { cpuUs: 36 }],
    pgbouncer: [{ cpuUs: 20 }, { cpuUs: 40 }, { cpuUs: 20 }],
  })

  test('is the median over the rounds', () => {
    expect(medianOf({ figure: 'cpuUs' }, 'pgweir', runs)).toBe(36)
  })

  test('is compared round by round, so that a slow round slows both', () => {
    expect(medianOf({ figure: 'cpuUs', against: TO_PGBOUNCER }, 'pgweir', runs)).toBe(1.8)
    expect(medianOf({ figure: 'cpuUs', against: { target: 'pgbouncer', by: 'difference' } }, 'pgweir', runs)).toBe(16)
  })

  test('is nothing where a target does not have it, or nobody is there to compare with', () => {
    expect(medianOf({ figure: 'p50Ms' }, 'pgweir', runs)).toBeNull()
    expect(medianOf({ figure: 'cpuUs' }, 'direct', runs)).toBeNull()
    expect(
      medianOf({ figure: 'cpuUs', against: TO_PGBOUNCER }, 'pgweir', runsOf({ pgweir: [{ cpuUs: 1 }] })),
    ).toBeNull()
  })

  test('is judged by its goal, which may depend on the version of Node', () => {
    const atMost = (nodeMajor: number) => (nodeMajor >= 24 ? 1.5 : 3)
    const scenario = scenarioOf({
      goals: [{ sentence: 'CPU', figure: 'cpuUs', against: TO_PGBOUNCER, atMost }],
    })
    expect(outcomes(scenario, runs, 20)).toEqual([{ sentence: 'CPU', limit: 3, reached: 1.8, isMet: true }])
    expect(outcomes(scenario, runs, 24)).toMatchObject([{ limit: 1.5, isMet: false }])
    expect(outcomes(scenario, runsOf({}), 24)).toEqual([])
  })
})

describe('the report', () => {
  test('has a line for each target, and only columns with figures', () => {
    const scenario = {
      columns: [
        { title: 'tps', figure: 'perSecond', digits: 0 },
        { title: '× PgBouncer', figure: 'perSecond', digits: 2, against: TO_PGBOUNCER },
        { title: 'CPU', figure: 'cpuUs', digits: 1 },
      ],
    }
    const table = scenarioTable(
      scenario,
      runsOf({ direct: [{ perSecond: 20_000 }], pgweir: [{ perSecond: 9_000, cpuUs: 3 }] }),
    )
    expect(table.split('\n')).toEqual(['           tps  CPU', 'direct  20,000', 'pgweir   9,000  3.0'])
  })

  test('keeps columns straight', () => {
    expect(
      formatTable([
        ['', 'b'],
        ['long', '1'],
        ['x', '22'],
      ]),
    ).toBe('       b\nlong   1\nx     22')
  })

  test('says whether a goal was reached', () => {
    const outcome = { sentence: 'CPU', limit: 2.6, reached: 1.7777, isMet: true }
    expect(outcomeLine(outcome)).toBe('goal: CPU: 1.78, at most 2.6: reached')
    expect(outcomeLine({ ...outcome, isMet: false })).toMatch(/MISSED$/)
  })
})

test('a scenario that does not exist is answered with those that do', () => {
  expect(() => chooseScenarios(['simple', 'simpel'])).toThrow(/simpel; there are simple, extended/)
  expect(chooseScenarios(['idle', 'simple']).map(({ name }) => name)).toEqual(['simple', 'idle'])
  expect(chooseScenarios([]).length).toBeGreaterThan(5)
})
