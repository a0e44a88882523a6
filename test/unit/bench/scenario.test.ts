import { describe, expect, test } from 'vitest'
import { formatTable, goalTable, outcomeLine, scenarioTable } from '../../../bench/report.ts'
import {
  type Figures,
  type Goal,
  medianOf,
  type Outcome,
  outcomes,
  type Runs,
  runScenario,
  type Scenario,
  type Surroundings,
  targetsOfGoals,
} from '../../../bench/scenario.ts'
import { chooseScenarios } from '../../../bench/scenarios.ts'
import type { Target, TargetName } from '../../../bench/targets.ts'

const SURROUNDINGS: Surroundings = {
  effort: { isQuick: false, repeats: 2, seconds: 1 },
  directory: '/nowhere',
  pgbouncerVersion: null,
  postgresPid: 1,
  workers: 1,
  countsInstructions: false,
}

const TO_PGBOUNCER = { target: 'pgbouncer', by: 'ratio' } as const

function scenarioOf(parts: Partial<Scenario>): Scenario {
  return {
    name: 'one',
    about: '',
    needsPgbench: false,
    login: 'trust',
    encryption: 'none',
    targets: ['pgweir', 'pgbouncer'],
    settings: {},
    startsFresh: false,
    isExtra: false,
    isGuarded: false,
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

/** Returns what is done with the targets, in order. */
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
    const place = { host: '', port: 0, user: '', password: '', database: '', encryption: 'none' as const }
    return { name, place, pid: null, stop: async () => void diary.push(`stop ${name}`) }
  }
  await runScenario(scenario, scenario.targets, start, SURROUNDINGS, () => {})
  return diary
}

describe('the runs of a scenario', () => {
  test('alternate between the targets, each of which is started once', async () => {
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

  test('have a fresh process each if memory is measured', async () => {
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

  test('stop all targets if one run fails', async () => {
    const diary: string[] = []
    const scenario = scenarioOf({
      measure: async () => {
        throw new Error('no such table')
      },
    })
    const place = { host: '', port: 0, user: '', password: '', database: '', encryption: 'none' as const }
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

describe('a figure', () => {
  const runs = runsOf({
    pgweir: [{ cpuUs: 30 }, { cpuUs: 80 }, { cpuUs: 36 }],
    pgbouncer: [{ cpuUs: 20 }, { cpuUs: 40 }, { cpuUs: 20 }],
  })

  test('is the median of the rounds', () => {
    expect(medianOf({ figure: 'cpuUs' }, 'pgweir', runs)).toBe(36)
  })

  test('is compared round by round, so that a slow round affects both sides', () => {
    expect(medianOf({ figure: 'cpuUs', against: TO_PGBOUNCER }, 'pgweir', runs)).toBe(1.8)
    expect(medianOf({ figure: 'cpuUs', against: { target: 'pgbouncer', by: 'difference' } }, 'pgweir', runs)).toBe(16)
  })

  test('is null if a target lacks it or there is no target to compare with', () => {
    expect(medianOf({ figure: 'p50Ms' }, 'pgweir', runs)).toBeNull()
    expect(medianOf({ figure: 'cpuUs' }, 'direct', runs)).toBeNull()
    expect(
      medianOf({ figure: 'cpuUs', against: TO_PGBOUNCER }, 'pgweir', runsOf({ pgweir: [{ cpuUs: 1 }] })),
    ).toBeNull()
  })

  test('may be compared after subtracting a third target’s figure', () => {
    const against = { target: 'pgbouncer', by: 'ratio', over: 'direct' } as const
    const others = { pgweir: [{ p50Ms: 9 }], pgbouncer: [{ p50Ms: 7 }] }
    expect(medianOf({ figure: 'p50Ms', against }, 'pgweir', runsOf({ ...others, direct: [{ p50Ms: 5 }] }))).toBe(2)
    expect(medianOf({ figure: 'p50Ms', against }, 'pgweir', runsOf(others))).toBeNull()
  })
})

describe('a goal', () => {
  const CPU: Goal = {
    ...{ sentence: 'CPU', figure: 'cpuUs', against: TO_PGBOUNCER, bound: 'at most' },
    ...{ limits: { epoll: 1.6, node: 2.6 }, stretch: { epoll: 1.3 } },
  }
  const SPEED: Goal = { sentence: 'tps', figure: 'perSecond', bound: 'at least', limits: { epoll: 9, node: 8 } }

  function verdictOf(goal: Goal, figures: Figures, transport: 'epoll' | 'node'): string | undefined {
    const runs = runsOf({ pgweir: [figures], pgbouncer: [{ cpuUs: 10 }] })
    return outcomes({ goals: [goal] }, runs, transport)[0]?.verdict
  }

  test.each([
    [CPU, { cpuUs: 20 }, 'node', 'reached'],
    [CPU, { cpuUs: 26 }, 'node', 'reached'],
    [CPU, { cpuUs: 27 }, 'node', 'missed'],
    [CPU, { cpuUs: 12 }, 'node', 'reached'],
    [CPU, { cpuUs: 20 }, 'epoll', 'missed'],
    [CPU, { cpuUs: 15 }, 'epoll', 'reached'],
    [CPU, { cpuUs: 12 }, 'epoll', 'stretch reached'],
    [SPEED, { perSecond: 8 }, 'node', 'reached'],
    [SPEED, { perSecond: 8 }, 'epoll', 'missed'],
  ] as const)('depends on the transport in use: %o with %o on %s is %s', (goal, figures, transport, verdict) => {
    expect(verdictOf(goal, figures, transport)).toBe(verdict)
  })

  test('is not judged without a target to compare with', () => {
    const runs = runsOf({ pgweir: [{ cpuUs: 20 }] })
    expect(outcomes({ goals: [CPU] }, runs, 'node')).toMatchObject([{ reached: null, verdict: 'not judged' }])
  })

  test('determines which targets a quick run needs', () => {
    const targets = ['direct', 'baseline', 'pgweir', 'pgbouncer'] as const
    expect(targetsOfGoals({ targets, goals: [SPEED] })).toEqual(['baseline', 'pgweir'])
    expect(targetsOfGoals({ targets, goals: [CPU] })).toEqual(['baseline', 'pgweir', 'pgbouncer'])
    const against = { ...TO_PGBOUNCER, over: 'direct' } as const
    expect(targetsOfGoals({ targets, goals: [{ ...CPU, against }] })).toEqual(targets)
  })
})

describe('the report', () => {
  test('has a line per target, and only columns with figures', () => {
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

  test('aligns its columns', () => {
    expect(
      formatTable([
        ['', 'b'],
        ['long', '1'],
        ['x', '22'],
      ]),
    ).toBe('       b\nlong   1\nx     22')
  })

  test('says whether a goal was reached', () => {
    const outcome: Outcome = {
      ...{ sentence: 'CPU', bound: 'at most', limit: 1.6, stretch: 1.35 },
      ...{ reached: 1.4777, verdict: 'reached' },
    }
    expect(outcomeLine(outcome)).toBe('goal: CPU: 1.48, at most 1.6 (stretch 1.35): reached')
    expect(outcomeLine({ ...outcome, stretch: null, verdict: 'missed' })).toBe('goal: CPU: 1.48, at most 1.6: MISSED')
    expect(outcomeLine({ ...outcome, reached: null, verdict: 'not judged' })).toMatch(/: -, .*: not judged$/)
    expect(goalTable([{ name: 'simple', outcomes: [outcome] }]).split('\n')).toEqual([
      'goal         reached                   asked for',
      'simple: CPU     1.48  at most 1.6 (stretch 1.35)  reached',
    ])
  })
})

test('an unknown scenario is an error that lists the known ones', () => {
  expect(() => chooseScenarios(['simple', 'simpel'])).toThrow(/simpel; there are simple, extended/)
  expect(chooseScenarios(['idle', 'simple']).map(({ name }) => name)).toEqual(['simple', 'idle'])
  expect(chooseScenarios([]).length).toBeGreaterThan(5)
})
