import { expect, test } from 'vitest'
import { readFlags } from '../../../bench/flags.ts'
import { SCENARIOS } from '../../../bench/scenarios.ts'

function namesOf(args: readonly string[]): string[] {
  return readFlags(args).scenarios.map(({ name }) => name)
}

test('without flags all scenarios are measured for the full time', () => {
  const { effort, scenarios, node, transport, workers, baseline, figures } = readFlags([])
  expect(effort).toEqual({ isQuick: false, repeats: 5, seconds: 5 })
  expect(scenarios).toEqual(SCENARIOS)
  expect(node).toBe(process.execPath)
  expect({ transport, workers, baseline, figures }).toEqual({
    transport: null,
    workers: null,
    baseline: null,
    figures: null,
  })
})

test('a quick run is short unless other times are given', () => {
  expect(readFlags(['--quick']).effort).toEqual({ isQuick: true, repeats: 1, seconds: 2 })
  expect(readFlags(['--quick', '--repeats', '3']).effort).toEqual({ isQuick: true, repeats: 3, seconds: 2 })
})

test('a quick run omits scenarios without a goal unless they are named', () => {
  expect(namesOf(['--quick'])).not.toContain('churn')
  expect(namesOf(['--quick'])).toEqual(expect.arrayContaining(['simple', 'idle', 'console']))
  expect(namesOf(['--quick', '--only', 'churn'])).toEqual(['churn'])
})

test.each([[['--only', 'idle', '--only', 'simple']], [['--only', 'idle,simple']]])(
  'scenarios are chosen by name: %s',
  (args) => {
    expect(namesOf(args)).toEqual(['simple', 'idle'])
  },
)

test('flags choose transport, workers and baseline of pgweir', () => {
  expect(readFlags(['--transport', 'epoll', '--workers', '2', '--baseline', '../before'])).toMatchObject({
    transport: 'epoll',
    workers: 2,
    baseline: '../before',
    usesIoUring: true,
  })
  expect(readFlags(['--without-io-uring']).usesIoUring).toBe(false)
})

test('--guard and --save run the scenarios that measure the cost of a transaction', () => {
  expect(namesOf(['--guard'])).toEqual(['simple', 'extended', 'prepared', 'simple-128', 'simple-1000'])
  expect(namesOf(['--save'])).toEqual(namesOf(['--guard']))
  expect(readFlags(['--guard', '--tolerance', '5'])).toMatchObject({ figures: 'guard', tolerance: 0.05 })
})

test.each([
  [['--seconds', '1.5'], '--seconds takes a whole number above 0, not 1.5'],
  [['--repeats', '0'], '--repeats takes a whole number above 0, not 0'],
  [['--workers', 'auto'], '--workers takes a whole number above 0, not auto'],
  [['--transport', 'tcp'], '--transport takes epoll or node, not tcp'],
  [['--only', 'simpel'], 'there is no scenario simpel; there are simple, extended'],
  [['--guard', '--save'], 'do not go together'],
  [['--save', '--quick'], 'too rough to --save'],
])('%s is an error', (args, sentence) => {
  expect(() => readFlags(args)).toThrow(sentence)
})
